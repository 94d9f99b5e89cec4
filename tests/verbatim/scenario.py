"""What a reader has before typing the first command: pictures, a release, datasets, a Hub, services."""

import json
import shutil
from pathlib import Path
from typing import Any

from caption_server import CaptionServer
from hub.shadow_models import build_models
from ling.translation_servers import TranslationServer
from local_hub import LocalHub
from PIL import Image as Picture
from PIL import ImageDraw
from release_tree import TEXTS, make_release
from rows import build_rows

from mella_hf.dataset.builder import MELLA_REPO

CAPTION = (
    "The picture shows a wooden table in a bright room with a white wall behind it. A red cup stands near the left "
    "edge of the table and a small green plant grows in a round pot beside it."
)
TRANSLATIONS = {
    "ar": "تظهر الصورة طاولة خشبية في غرفة مضيئة وخلفها جدار أبيض. يقف كوب أحمر بالقرب من الحافة اليسرى للطاولة وتنمو "
    "بجانبه نبتة خضراء صغيرة في أصيص مستدير.",
    "cs": "Obrázek ukazuje dřevěný stůl ve světlé místnosti s bílou zdí za ním. Blízko levého okraje stolu stojí "
    "červený hrnek a vedle něj roste malá zelená rostlina v kulatém květináči.",
}
LANGUAGES = ("ar", "cs", "th")
SIZES = {"know": 8, "ling": 6, "know_test": 3, "ling_test": 3}


def translate(text: str, target: str) -> str:
    """A stand-in for a service: one text is known, others come back in the language's script."""
    code = target.lower()[:2]
    return TRANSLATIONS[code] if text.strip() in CAPTION else f"{TRANSLATIONS[code].split('.')[0]} {len(text)}"


def write_dataset(folder: Path) -> Path:
    """A dataset of a few rows in three languages."""
    from datasets import Image

    from mella_hf.dataset.card import write_card
    from mella_hf.dataset.write import write_split

    start = 0
    for language in LANGUAGES:
        for split, count in SIZES.items():
            rows = build_rows(count, language=language, source=split.removesuffix("_test"), start=start)
            write_split(rows.cast_column("image", Image(decode=False)), folder, language, split)
            start += count
    write_card(folder)
    return folder


def write_pictures(folder: Path, count: int = 6) -> Path:
    """Photographs of the reader's own."""
    folder.mkdir(parents=True)
    for number in range(count):
        picture = Picture.new("RGB", (240, 200), ("white", "ivory", "azure")[number % 3])
        draw = ImageDraw.Draw(picture)
        for step in range(5):
            left, top = (37 * (number + step)) % 150, (53 * (number + 2 * step)) % 120
            draw.rectangle([left, top, left + 40 + 7 * number, top + 30 + 5 * step], fill=(41 * step, 30 * number, 120))
        picture.save(folder / f"{number}.png")
    return folder


class Scenario:
    """The reader's folder, `home`, and the servers about it. Use as a context manager."""

    def __init__(self, folder: Path, dataset: Path):
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir(parents=True)
        self.hub = LocalHub(folder / "hub")
        self.services = TranslationServer(translate)
        self.captions = CaptionServer(self._say)
        for name, path in build_models(folder / "models").items():
            self.hub.add(f"models/{name}", path)
        self.hub.add(MELLA_REPO, dataset)
        for name in ("outputs/demo/mella", "outputs/mella"):
            shutil.copytree(dataset, self.home / name)
        write_pictures(self.home / "images")
        make_release(self.home / "RELEASE", tuple(TEXTS), rows=4, flaws=False)
        Picture.new("RGB", (640, 480), (200, 30, 30)).save(self.home / "photo.jpg")
        self._write_predictions()
        self._write_sources()

    def _say(self, image: Any, prompt: str) -> str:
        return CAPTION

    def _write_sources(self) -> None:
        """Photos with texts, saved pages, and a dataset of somebody else's on the Hub."""
        from datasets import Dataset, Image

        photos = sorted(write_pictures(self.home / "photos").glob("*.png"))
        lines = [json.dumps({"file_name": path.name, "text": f"ต้มยำกุ้งในชามสีขาว {path.stem}"}) for path in photos]
        (self.home / "photos" / "metadata.jsonl").write_text("\n".join(lines) + "\n")
        (self.home / "saved").mkdir()
        page = '<html lang="th"><img src="a.jpg" alt="ต้มยำกุ้งในชามสีขาว วัดพระแก้ว"></html>'
        (self.home / "saved" / "a.html").write_text(page, "utf-8")
        columns = {
            "image": [str(path) for path in photos],
            "caption": [f"Phở bò Hà Nội {path.stem}" for path in photos],
        }
        captions = Dataset.from_dict(columns).cast_column("image", Image())
        (self.folder / "captions" / "data").mkdir(parents=True)
        captions.to_parquet(self.folder / "captions" / "data" / "train-00000-of-00001.parquet")
        self.hub.add("org/captions", self.folder / "captions")

    def _write_predictions(self) -> None:
        for name, text in (("tuned", "วัดพระแก้ว"), ("base", "วัด"), ("predictions", "วัด")):
            rows = [{"prediction": text, "reference": "วัดพระแก้ว", "id": str(i)} for i in range(3)]
            (self.home / f"{name}.jsonl").write_text(
                "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            )

    @property
    def environment(self) -> dict[str, str]:
        """Of everything that the reader runs."""
        own = {"HOME": str(self.folder / "user"), "MELLA_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}
        own |= {"TOKENIZERS_PARALLELISM": "false", "COLUMNS": "120", "CUDA_VISIBLE_DEVICES": ""}
        return {**self.hub.environment(self.folder / "hf"), **own}

    def __enter__(self) -> "Scenario":
        self.hub.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.hub.__exit__()
        self.services.close()
        self.captions.close()
