"""A small stamps folder, drawn on the spot, with texts in the form of the Debian package."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "blue", "green", "orange", "purple", "brown", "black", "gold")
NATIVE = {
    "cs": "Kůň Liška Vážka Růže Hruška Čepice Šála Sovička Žába Myš Tygří Dýně Kráčející Květák Řepa Ježek".split(),
    "ru": "Лошадь Лиса Стрекоза Роза Груша Шапка Шарф Совушка Жаба Мышь Тигр Тыква Цапля Капуста Щука Ёжик".split(),
}


def draw_stamp(path: Path, seed: int) -> None:
    """A transparent PNG of a few random shapes."""
    rng = random.Random(seed)
    image = Image.new("RGBA", (rng.randint(60, 200), rng.randint(60, 200)))
    draw = ImageDraw.Draw(image)
    for _ in range(7):
        x, y = rng.randint(0, image.width - 30), rng.randint(0, image.height - 30)
        box = (x, y, x + rng.randint(20, 90), y + rng.randint(20, 90))
        rng.choice((draw.rectangle, draw.ellipse))(box, fill=rng.choice(COLOURS))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_text(path: Path, english: str, **texts: str) -> None:
    lines = [english, *(f"{code}.utf8={text}" for code, text in texts.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_stamps_folder(root: Path) -> Path:
    """48 pictured stamps in three categories, one vector stamp, one symbol, and one picture that is none."""
    for number in range(48):
        stamp = root / ("animals/birds", "food", "town")[number % 3] / f"thing{number}"
        draw_stamp(stamp.with_suffix(".png"), number)
        native = {code: f"{words[number % 16]} {words[number // 16]}." for code, words in NATIVE.items()}
        write_text(stamp.with_suffix(".txt"), f"A thing number {number}.", **native)
    write_text(root / "food/vector.txt", "A vector.", cs="Čárový obrázek moře.", ru="Векторная ёлка.")
    (root / "food/vector.svg").write_text("<svg/>")
    write_text(root / "symbols/sign.txt", "A sign.", cs="Značka přednosti.")
    draw_stamp(root / "symbols/sign.png", 1000)
    write_text(root / "town/broken.txt", "A broken file.", cs="Rozbitý soubor.")
    (root / "town/broken.png").write_bytes(b"\x89PNG not really")
    return root
