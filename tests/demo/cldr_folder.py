"""A small source in the shape of the Debian packages: CLDR's XML, and a font whose letters stand in for pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import ImageFont

from mella_hf.demo.pictures import COMMON, FONT

LETTERS = "ABCDEFGHJKLMNPQRSTVWXYZ"  # of these, each looks like no other
ENGLISH = (
    "house tree car book fish door star flower bird boat lamp apple chair train cup shoe key hat bridge mountain cloud "
    "lion bread"
).split()
NATIVE = {
    "ar": (
        "بيت شجرة سيارة كتاب سمكة باب نجمة زهرة طائر قارب مصباح تفاحة كرسي قطار فنجان حذاء "
        "مفتاح قبعة جسر جبل غيمة أسد خبز"
    ),
    "ka": (
        "სახლი ხე მანქანა წიგნი თევზი კარი ვარსკვლავი ყვავილი ჩიტი ნავი ნათურა ვაშლი სკამი "
        "მატარებელი ფინჯანი ფეხსაცმელი გასაღები ქუდი ხიდი მთა ღრუბელი ლომი პური"
    ),
    "th": (
        "บ้าน ต้นไม้ รถยนต์ หนังสือ ปลา ประตู ดาว ดอกไม้ นก เรือ โคมไฟ แอปเปิล เก้าอี้ รถไฟ "
        "ถ้วย รองเท้า กุญแจ หมวก สะพาน ภูเขา เมฆ สิงโต ขนมปัง"
    ),
}


def write_annotations(common: Path, code: str, names: Mapping[str, str], keywords: Mapping[str, str] = {}) -> None:
    """The file of a language: character -> name, and character -> keywords as CLDR separates them."""
    lines = ['<?xml version="1.0" encoding="UTF-8" ?>', "<ldml><annotations>"]
    for character, name in names.items():
        if character in keywords:
            lines.append(f'<annotation cp="{character}">{escape(keywords[character])}</annotation>')
        lines.append(f'<annotation cp="{character}" type="tts">{escape(name)}</annotation>')
    path = common / "annotations" / f"{code}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "</annotations></ldml>", ""]), "utf-8")


def make_source(root: Path, languages: Mapping[str, Sequence[str]] | None = None) -> Path:
    """A folder for `--source` with a name for each of LETTERS in English and in the languages."""
    common = root / COMMON
    native = {code: names.split() for code, names in NATIVE.items()} if languages is None else languages
    for code, names in {"en": ENGLISH, **native}.items():
        write_annotations(common, code, dict(zip(LETTERS, names, strict=False)))
    (common / "properties").mkdir()
    (common / "properties" / "labels.txt").write_text("[A-Z] ; Objects ; letters that stand in\n", "utf-8")
    (root / FONT).parent.mkdir(parents=True)
    (root / FONT).write_bytes(ImageFont.load_default(109).font_bytes)  # type: ignore[union-attr]
    return root
