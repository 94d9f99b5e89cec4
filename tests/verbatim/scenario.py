"""What a reader has before typing the first command: pictures, a release, predictions, a Hub, servers."""

import gzip
import json
import shutil
import socket
import threading
import uuid
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from caption_server import CaptionServer
from hub.shadow_models import MODELS, SAID, build_models
from ling.chat_translation_server import ChatTranslationServer
from ling.translation_servers import TranslationServer
from local_hub import LocalHub
from PIL import Image as Picture
from PIL import ImageDraw
from release_tree import TEXTS, make_release
from rows import build_rows
from tiny_encoders import tiny_encoder
from verbatim.blocks import ROOT, documents
from verbatim.quality_models import add_quality_models

from mella_hf.dataset.builder import MELLA_REPO

CAPTION = (
    f"{SAID} A red cup stands near the left edge of the table and a small green plant grows in a round pot beside it."
)
TRANSLATIONS = {
    "ar": "تظهر الصورة طاولة خشبية في غرفة مضيئة وخلفها جدار أبيض. يقف كوب أحمر بالقرب من الحافة اليسرى للطاولة وتنمو "
    "بجانبه نبتة خضراء صغيرة في أصيص مستدير.",
    "cs": "Obrázek ukazuje dřevěný stůl ve světlé místnosti s bílou zdí za ním. Blízko levého okraje stolu stojí "
    "červený hrnek a vedle něj roste malá zelená rostlina v kulatém květináči.",
    "yo": "Àwòrán náà fi tábìlì onígi hàn nínú yàrá tí ó mọ́lẹ̀ pẹ̀lú ògiri funfun lẹ́yìn rẹ̀. Ife pupa kan dúró nítòsí "
    "etí òsì tábìlì náà, ewéko kékeré aláwọ̀ ewé sì ń dàgbà nínú ìkòkò róbótó lẹ́gbẹ̀ẹ́ rẹ̀.",
}
BRIDGE = "Karlův most"  # a name of the Czech alt-text
SHOWN = {"cs": f"Obrázek ukazuje <n1>{BRIDGE}</n1>."}  # as a translator gives a marked name back
ALT_TEXTS = {
    "cs": f"{BRIDGE} v Praze při západu slunce",
    "sr": "Стари камени мост у центру града",
    "th": "ต้มยำกุ้งในชามสีขาว วัดพระแก้ว",
    "fa": "پل خواجو در اصفهان",
    "ka": "მცხეთის ჯვრის მონასტერი",
}
LANGUAGES = ("ar", "cs", "th", "ko")
STARTS = (0, 20, 40, 500)  # numbers of their pictures: of these, none looks like another
SIZES = {"know": 8, "ling": 6, "know_test": 3, "ling_test": 3}


def translate(text: str, target: str) -> str:
    """A stand-in for a service: it knows the caption and its first sentence; other texts get one of their own."""
    code = target.lower()[:2]
    known = TRANSLATIONS[code]
    if "<n1>" in text:
        return f"{SHOWN[code]} {known}"
    first = f"{known.split('.')[0]}."
    return known if text == CAPTION else first if text == SAID else f"{first[:-1]} {len(text)}"


def chat(prompt: str) -> str:
    """A stand-in for a chat model that translates into Czech."""
    return translate(CAPTION if CAPTION in prompt else SAID, "cs")


def caption(prompt: str) -> str:
    """A stand-in for a captioner: it names the bridge where the page names it."""
    return f"The picture shows {BRIDGE}. {CAPTION}" if BRIDGE in prompt else CAPTION


def verdict(prompt: str) -> str:
    """A stand-in for a judge: every answer is right, of two the first is better."""
    if '"A":' in prompt:
        return json.dumps({"better": "A", "reason": "stand-in"})
    return json.dumps({"unsupported": [], "adequacy": 5, "fluency": 5})


def write_dataset(folder: Path) -> Path:
    """A dataset of a few rows in three languages."""
    from datasets import Image

    from mella_hf.dataset.card.card import write_card
    from mella_hf.dataset.write import write_split

    for start, language in zip(STARTS, LANGUAGES, strict=True):
        for split, count in SIZES.items():
            rows = build_rows(count, language=language, source=split.removesuffix("_test"), start=start)
            write_split(rows.cast_column("image", Image(decode=False)), folder, language, split)
            start += count
    write_card(folder)
    return folder


def write_pictures(folder: Path, count: int = 6, start: int = 0) -> list[Path]:
    """Photographs of the reader's own."""
    folder.mkdir(parents=True)
    for number in range(start, start + count):
        picture = Picture.new("RGB", (240, 200), ("white", "ivory", "azure")[number % 3])
        draw = ImageDraw.Draw(picture)
        for step in range(5):
            left, top = (37 * (number + step)) % 150, (53 * (number + 2 * step)) % 120
            fill = (41 * step, 30 * number % 256, 120)
            draw.rectangle([left, top, left + 40 + 7 * number, top + 30 + 5 * step], fill=fill)
        picture.save(folder / f"{number}.png")
    return sorted(folder.glob("*.png"))


def picture_bytes(path: Path) -> dict[str, Any]:
    """An image as `datasets` stores it."""
    return {"bytes": path.read_bytes(), "path": path.name}


def write_warc(path: Path, pages: dict[str, bytes]) -> None:
    """A crawl of pages, each a gzip member, as Common Crawl writes them."""
    with path.open("wb") as file:
        for address, body in pages.items():
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {address}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
                f"WARC-Record-ID: <urn:uuid:{uuid.uuid4()}>\r\nContent-Type: application/http; msgtype=response\r\n"
                f"Content-Length: {len(answer)}\r\n\r\n"
            )
            file.write(gzip.compress(head.encode() + answer + b"\r\n\r\n"))


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


class Scenario:
    """The reader's folder, `home`, and the servers about it. Use as a context manager."""

    def __init__(self, folder: Path):
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir(parents=True)
        self.hub = LocalHub(folder / "hub")
        self.services = TranslationServer(translate)
        self.captions = CaptionServer(lambda image, prompt: verdict(prompt) if "\n\n{" in prompt else caption(prompt))
        self.translations = ChatTranslationServer(chat)
        self.port = free_port()
        dataset = write_dataset(folder / "dataset")
        self.hub.add(MELLA_REPO, dataset)
        for name in ("outputs/demo/mella", "outputs/mella"):
            shutil.copytree(dataset, self.home / name)
        text = "".join(path.read_text("utf-8") for path in documents())
        for name, path in build_models(folder / "models", [name for name in MODELS if name in text]).items():
            self.hub.add(f"models/{name}", path)
        self.hub.add("models/google/siglip2-base-patch16-256", tiny_encoder(folder / "encoder"))
        add_quality_models(self.hub, folder / "quality", [(CAPTION, text) for text in TRANSLATIONS.values()])
        (self.home / ".venv-comet").symlink_to(ROOT / ".venv-comet")  # as `make comet` leaves it
        write_pictures(self.home / "images")
        make_release(self.home / "RELEASE", tuple(TEXTS), rows=4, flaws=False)
        Picture.new("RGB", (640, 480), (200, 30, 30)).save(self.home / "photo.jpg")
        self._write_predictions()
        self._write_sources()
        self._write_web()
        self._add_benchmarks()

    def _write_predictions(self) -> None:
        """Answers of two systems to the Thai test images."""
        from datasets import load_dataset

        rows = load_dataset("parquet", data_files=str(self.home / "outputs/mella/th/ling_test-*"), split="train")
        for name, start in (("base", "วัด"), ("adapter", "วัดพระแก้ว"), ("tuned", "วัดพระแก้ว"), ("predictions", "วัด")):
            lines = [
                {
                    "id": row["id"],
                    "language": "th",
                    "source": "ling",
                    "prediction": f"{start} {i}",
                    "reference": row["text"],
                }
                for i, row in enumerate(rows.remove_columns("image"))
            ]
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (self.home / f"{name}.jsonl").write_text(text, "utf-8")

    def _write_sources(self) -> None:
        """Photos with texts, a takedown, and datasets of other people's on the Hub."""
        from datasets import Dataset, Image, load_dataset

        self._write_photos(self.home / "photos", 0)
        self._write_photos(self.folder / "shared" / "train", 60)
        self.hub.add("org/photos", self.folder / "shared")
        rows = load_dataset("parquet", data_files=str(self.home / "outputs/mella/ar/know-*"), split="train")
        (self.home / "takedown.txt").write_text(f"{rows[0]['id']}\n")
        for name, column, text in (
            ("captions", "caption", "Phở bò Hà Nội"),
            ("alt-texts", "text", "جسر قديم في القاهرة"),
        ):
            pictures = write_pictures(self.folder / "pictures" / name, start=10 * len(name))
            columns = {
                "image": [picture_bytes(path) for path in pictures],
                "text": [f"{text} {path.stem}" for path in pictures],
            }
            if column != "text":
                columns[column] = columns["text"]
            data = Dataset.from_dict(columns).cast_column("image", Image())
            (self.folder / name / "data").mkdir(parents=True)
            data.to_parquet(self.folder / name / "data" / "train-00000-of-00001.parquet")
            self.hub.add(f"org/{name}", self.folder / name)

    def _write_photos(self, folder: Path, start: int) -> None:
        """An image folder with texts."""
        lines = [
            {"file_name": path.name, "text": f"ต้มยำกุ้งในชามสีขาว {path.stem}", "page_url": "https://example.org/photos"}
            for path in write_pictures(folder, start=start)
        ]
        (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")

    def _write_web(self) -> None:
        """Pages with pictures on a server, the same pages in a WARC file, and a page that was saved."""
        (self.home / "saved").mkdir()
        page = '<html lang="{}"><title>{}</title><p>{}</p><img src="{}" alt="{}"></html>'
        thai = page.format("th", "วัด", "วัด", "a.jpg", ALT_TEXTS["th"])
        (self.home / "saved" / "a.html").write_text(thai, "utf-8")
        site = self.folder / "web"
        handler = partial(_Quiet, directory=str(site))
        self.web = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        address = f"http://127.0.0.1:{self.web.server_port}"
        listed: dict[str, list[str]] = {"pages.txt": [], "addresses.txt": []}
        for number, path in enumerate(write_pictures(site, 18, start=30)):
            Picture.open(path).resize((480, 400)).save(path)
            name, codes = ("pages.txt", ("cs", "sr")) if number < 4 else ("addresses.txt", ("fa", "ka"))
            code = codes[number % 2]
            text = page.format(code, ALT_TEXTS[code], ALT_TEXTS[code], path.name, f"{ALT_TEXTS[code]} {number}")
            (site / f"{number}.html").write_text(text, "utf-8")
            listed[name].append(f"{address}/{number}.html\n")
        for name, lines in listed.items():
            (self.home / name).write_text("".join(lines))
        pages = [site / f"{number}.html" for number in range(4)]
        (self.home / "crawl").mkdir()
        write_warc(self.home / "crawl" / "1.warc.gz", {f"{address}/{path.name}": path.read_bytes() for path in pages})

    def _add_benchmarks(self) -> None:
        """Public benchmarks in their own shapes, of two rows."""
        from datasets import Dataset, Image

        left, right = (picture_bytes(path) for path in write_pictures(self.folder / "benchmark", 2, start=50))
        pair = {
            "left_img": [left, right],
            "right_img": [right, left],
            "hypothesis": ["Sentensi", "Cümle"],
            "label": [True, False],
        }
        asked = {"Question": ["ما هذا؟", "이것은 무엇입니까?"], "Options": [["أ", "ب", "ج", "د"]] * 2, "Label": [0, 1]}
        asked |= {"image": [left, right], "Subset": ["('Arabic', 'Egypt')", "('Korean', 'South Korea')"]}
        known = {"image": [left, right], "question": ["What is this?"] * 2}
        a_okvqa = known | {"choices": [["a cup", "a dog", "a hat", "a box"]] * 2, "correct_choice_idx": [0, 3]}
        science = known | {"choices": [["mass", "heat"], ["a", "b", "c"]], "answer": [0, 2]}
        captions = {"image": [left, right], "captions": [["جسر قديم", "جسر"], ["บ้าน", "บ้านเก่า"]]}
        for name, columns, splits in (
            ("floschne/marvl", pair, ("sw", "tr")), ("afaji/cvqa", asked, ("test",)),
            ("floschne/xm3600", captions, ("ar", "th")), ("HuggingFaceM4/A-OKVQA", a_okvqa, ("validation",)),
            ("lmms-lab/ScienceQA", science, ("test",)),
        ):  # fmt: skip
            folder = self.folder / "benchmarks" / name
            (folder / "data").mkdir(parents=True)
            data = Dataset.from_dict(columns)
            for column in {"image", "left_img", "right_img"} & set(columns):
                data = data.cast_column(column, Image())
            for split in splits:
                data.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
            config = "ScienceQA-IMG" if name.endswith("ScienceQA") else "default"
            files = "".join(f"  - {{split: {split}, path: data/{split}-*}}\n" for split in splits)
            (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n  data_files:\n{files}---\n")
            self.hub.add(name, folder)

    @property
    def places(self) -> dict[str, str]:
        """Where the stand-ins are, by their names in exceptions.py."""
        return {
            "services": self.services.url, "translations": self.translations.url, "captions": self.captions.url,
            "port": str(self.port), "checkout": str(ROOT),
            "scheduler": f"tcp://127.0.0.1:{self.port}",
        }  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """Of everything that the reader runs."""
        own = {"HOME": str(self.folder / "user"), "MELLA_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}
        own |= {"TOKENIZERS_PARALLELISM": "false", "COLUMNS": "120", "CUDA_VISIBLE_DEVICES": "", "DEEPL_API_KEY": "key"}
        own |= {f"DASK_DISTRIBUTED__COMM__TIMEOUTS__{wait}": "600s" for wait in ("CONNECT", "TCP")}
        return {**self.hub.environment(self.folder / "hf"), **own}

    def __enter__(self) -> "Scenario":
        self.hub.__enter__()
        threading.Thread(target=self.web.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.hub.__exit__()
        self.services.close()
        self.captions.close()
        self.translations.__exit__()
        self.web.shutdown()
        self.web.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass
