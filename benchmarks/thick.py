"""Thick descriptions of the demo's pictures: names that stay, and names that nobody gave.

    python benchmarks/thick.py [--json] [--languages ar,cs,hu,ko,ru,sr,th,vi] [--images 60]

The pictures and their native names are the demo's. A stand-in for the models is served on loopback: the
captioner has a description for each picture, and believes a claim where it is the picture's own; every tenth
picture has another one's alt-text. Every tenth caption adds a city that no page names, every twentieth translation
loses its marked name, every twentieth writes something else in its place. Plain descriptions come from the same
stand-in without claims.

Bars, in every language: of the names in the alt-texts of the rows that are kept, at least 90% are in their text; the
rows have no more names without support, per hundred, than plain descriptions. Exit status 1 when one is missed.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "ling")]

from caption_server import CaptionServer  # noqa: E402
from chat_translation_server import ChatTranslationServer  # noqa: E402
from interpreter import as_sent  # noqa: E402
from native_sentences import description  # noqa: E402
from PIL import Image  # noqa: E402

from mella_hf.demo.pictures import PictureSource, Thing, draw, find_source, keywords_in_name, things_of  # noqa: E402
from mella_hf.images.opening import on_white  # noqa: E402
from mella_hf.ling.describe import describe_images  # noqa: E402
from mella_hf.ling.describe_settings import DescribeSettings  # noqa: E402
from mella_hf.ling.described import read_rows  # noqa: E402
from mella_hf.ling.thick.names import added_names, has_name, without_names  # noqa: E402

KEPT_BAR = 0.90
# "It stands near Paris" or London.
CITY = {
    "ar": "يقع قرب باريس.",
    "cs": "Stojí nedaleko Paříže.",
    "hu": "A közelben van London.",
    "ko": "그것은 런던 근처에 있다.",
    "ru": "Это стоит недалеко от Парижа.",
    "sr": "То стоји близу Париза.",
    "th": "อยู่ใกล้กรุงปารีส",
    "vi": "Nó ở gần Paris.",
}


class Stand:
    """The stand-in: knows each picture by the pixels that it is sent."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.pictures: dict[bytes, tuple[int, str]] = {}  # pixels -> number, the picture's own first name
        self.native: dict[str, str] = {}  # English caption -> native description
        self.numbers: dict[str, int] = {}

    def caption(self, image: Image.Image, prompt: str) -> str:
        number, name = self.pictures[image.tobytes()]
        english, native = (description(code, number) for code in ("en", self.language))
        city = " It stands near Paris." if number % 10 == 3 else ""
        text = f"{english}{city}"
        self.native[text] = native + (f" {CITY[self.language]}" if city else "")
        self.numbers[text] = number
        return f"{name}. {text}" if name in prompt else text

    def translate(self, text: str) -> str:
        asked = text.rpartition("\n\n")[2]
        english = next(known for known in self.native if asked.endswith(known))
        marked = asked.removesuffix(english)
        number = self.numbers[english]
        if number % 20 == 5:
            marked = ""
        elif number % 20 == 15 and "</n1>" in marked:
            marked = "<n1>Something Else Altogether</n1>. "
        return f"{marked}{self.native[english]}"


def write_pictures(things: list[Thing], source: PictureSource, folder: Path, stand: Stand) -> None:
    """The pictures with what their pages say of them."""
    folder.mkdir()
    about = []
    for number, thing in enumerate(things):
        path = folder / f"{number:03}.png"
        picture = draw(source.font, thing.character)
        assert picture is not None
        on_white(picture).resize((2 * picture.width, 2 * picture.height)).save(path)
        claimed = things[number - 1] if number % 10 == 7 else thing
        stand.pictures[as_sent(path).tobytes()] = number, thing.name
        about.append({"file_name": path.name, "alt_text": claimed.name, "keywords": keywords_in_name(claimed)})
    (folder / "metadata.jsonl").write_text(
        "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in about), "utf-8"
    )


def run(language: str, source: PictureSource, images: int) -> dict[str, Any]:
    """Describe the pictures with and without their pages' claims."""
    things = things_of(source, language)[0][:images]
    stand = Stand(language)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "pictures"
        write_pictures(things, source, folder, stand)
        rows, dropped = {}, {}
        for kind in ("thick", "plain"):
            with CaptionServer(stand.caption) as captions, ChatTranslationServer(stand.translate) as translations:
                use = DescribeSettings(
                    "stand-in", (captions.url,), "chat:stand-in", translations.url, qe_model=None, test_size=0,
                    with_context=kind == "thick",
                )  # fmt: skip
                report = describe_images(folder, Path(home) / kind, [language], use, progress=False)
            rows[kind] = [row for path in report.verdicts[language].outputs for row in read_rows(path)]
            dropped[kind] = Counter(report.captions.dropped) + Counter(report.verdicts[language].dropped)
    offered = [(row, name) for row in rows["thick"] for name in row["names_offered"]]
    kept = sum(name in row.get("forms", {}) or has_name(row["text"], name, language) for row, name in offered)
    added = {
        "plain": sum(len(added_names(row["text"], [], row["caption_en"], language)) for row in rows["plain"]),
        "thick": 0,
    }
    for row in rows["thick"]:
        forms = [form for found in row.get("forms", {}).values() for form in found]
        caption = without_names(row["caption_en"], row["keywords"])
        known_texts = [*row["claims"], *row["keywords"], *forms]
        added["thick"] += len(added_names(row["text"], known_texts, caption, language))
    return {
        "images": len(things),
        "rows": len(rows["thick"]),
        "names_kept": kept / len(offered),
        **{f"added_{kind}": 100 * added[kind] / len(rows[kind]) for kind in rows},
        "dropped": dict(dropped["thick"]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--languages", default=",".join(CITY))
    parser.add_argument("--images", type=int, default=60)
    arguments = parser.parse_args()
    source = find_source()
    measured = {code: run(code, source, arguments.images) for code in arguments.languages.split(",")}
    passed = all(
        found["names_kept"] >= KEPT_BAR and found["added_thick"] <= found["added_plain"] for found in measured.values()
    )
    if arguments.json:
        print(json.dumps({"languages": measured, "bar": KEPT_BAR, "passed": passed}, ensure_ascii=False))
        return 0 if passed else 1
    print("language  images  rows  names kept  added per 100: thick  plain   left out")
    for code, found in measured.items():
        print(
            f"{code:8} {found['images']:7} {found['rows']:5} {100 * found['names_kept']:10.1f}%"
            f" {found['added_thick']:21.1f} {found['added_plain']:6.1f}   {found['dropped']}"
        )
    print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
