"""Release-shaped trees: real file names, real or generated images, and every flaw, each counted where it is put.

python tests/release_tree.py OUT --languages ar th --rows 20000 [--images DIR]
"""

import argparse
import hashlib
import io
import itertools
import json
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

KINDS = {"know": "image_text_pair", "ling": "image_pure"}
TEXTS = {
    "ar": "كنافة نابلسية على طبق نحاسي",
    "cs": "Karlův most v ranní mlze",
    "hu": "Halászlé bográcsban",
    "ko": "김치찌개와 밥",
    "ru": "Самовар на столе",
    "sr": "Ћевапи са луком",
    "th": "ต้มยำกุ้งในชามสีขาว",
    "vi": "Phở bò Hà Nội",
}


@dataclass
class Tree:
    """What a tree holds: the counts that a right reading must find, by (language, source)."""

    root: Path
    expected: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    corrected: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass
class _Row:
    """One image and its line, before it is written."""

    data: bytes | None
    record: dict[str, Any]
    translation: Any = None
    raw: bytes | None = None  # the line itself, where it is not JSON


def picture(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A picture that no other seed resembles: coarse random blocks."""
    rng = random.Random(seed)
    blocks = Image.frombytes("RGB", (12, 8), rng.randbytes(12 * 8 * 3))
    return blocks.resize(size, Image.Resampling.NEAREST)


def encode(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """The image's file."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def generated(size: tuple[int, int] = (96, 64), start: int = 0) -> Iterator[bytes]:
    """JPEGs without end, no two alike."""
    return (encode(picture(seed, size), quality=85) for seed in itertools.count(start))


def views_of(folder: Path, side: int = 256, seed: int = 0) -> Iterator[bytes]:
    """JPEGs without end, cropped and turned from the PNGs of a folder: stamps on a paper of their own colour."""
    paths = sorted(folder.rglob("*.png"))
    for number in itertools.count():
        rng = random.Random(f"{seed}-{number}")
        stamp = Image.open(paths[number % len(paths)]).convert("RGBA")
        stamp.thumbnail((side, side))
        stamp = stamp.rotate(rng.uniform(-180, 180), expand=True, resample=Image.Resampling.BICUBIC)
        page = picture(rng.getrandbits(40), (side, side))
        page.paste(stamp, (rng.randrange(-20, 60), rng.randrange(-20, 60)), stamp)
        yield encode(page, quality=85)


def bomb(side: int = 14_000) -> bytes:
    """A PNG of side x side white pixels, 1 bit each, a few kB long."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(b"\0" + b"\xff" * ((side + 7) // 8)) if side < 9 else _rows(side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _rows(side: int) -> bytes:
    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * ((side + 7) // 8)
    return b"".join([packer.compress(row) for _ in range(side)] + [packer.flush()])


def make_release(
    root: Path,
    languages: tuple[str, ...] = ("ar", "th"),
    rows: int = 40,
    *,
    images: Callable[[], Iterator[bytes]] = generated,
    flaws: bool = True,
    parts: int = 2,
) -> Tree:
    """Write a tree of `rows` sound rows a language and source, and, with `flaws`, one or two of each flaw."""
    tree = Tree(root)
    source_of_images = images()
    for language in languages:
        for source in KINDS:
            key = (language, source)
            tree.expected[key] = Counter(kept=rows)
            made = (_sound(next(source_of_images), number, language, source) for number in range(rows))
            if flaws:
                made = _with_flaws(made, source_of_images, language, source, tree)
            _write(made, root, language, source, parts if rows > parts else 1)
    return tree


def _sound(data: bytes, number: int, language: str, source: str) -> _Row:
    with Image.open(io.BytesIO(data)) as image:
        width, height, kind = *image.size, image.format
    img_id = hashlib.sha256(data).hexdigest()
    text = f"{TEXTS[language]} {number}"
    record = {
        "img_id": img_id,
        "url": f"http://www.example-{number % 7}.{language}/pages/{number}.jpg",
        "data_source": "multi-web-news",
        "image": {"path": img_id, "resolution": [width, height], "size": len(data) / 1024, "format": kind},
        "captions": {"content": text, "lang": language} if source == "know" else {"content": None, "lang": None},
        "labels": {"pjwk_cates": {"level1": ["文化类"], "level2": ["民俗传统"]}},
    }
    return _Row(data, record, f"{text}. {TEXTS[language]}." * 3 if source == "ling" else None)


def _with_flaws(
    rows: Iterator[_Row], images: Iterator[bytes], language: str, source: str, tree: Tree
) -> Iterator[_Row]:
    """The sound rows, then the flawed ones, each booked in `tree.expected`."""
    expected = tree.expected[language, source]

    def fresh(data: bytes | None = None) -> _Row:
        return _sound(data or next(images), 900, language, source)

    def text(row: _Row, value: Any) -> _Row:
        if source == "know":
            row.record["captions"]["content"] = value
        else:
            row.translation = value
        return row

    def drop(reason: str, row: _Row) -> _Row:
        expected[f"dropped_{reason}"] += 1
        return row

    def file(data: bytes, reason: str) -> _Row:
        row = fresh()
        name = hashlib.sha256(data).hexdigest()
        row.data, row.record["img_id"], row.record["image"]["path"] = data, name, name
        return drop(reason, row)

    first = next(rows)
    yield first
    yield from rows
    yield drop("line_unreadable", _Row(None, {}, raw=b'{"img_id": "12", "url": '))
    yield drop("line_unreadable", _Row(None, {}, raw=b"\xff\xfe not utf-8"))
    yield drop("line_unreadable", _Row(None, {}, raw=b"[" * 100_000))
    yield drop("id_invalid", _Row(None, {"img_id": "../../../../../../etc/passwd"}))
    yield drop("id_invalid", _Row(None, {}, raw=b"[1, 2]"))
    row = fresh()
    yield drop("image_missing", _Row(None, row.record, row.translation))
    missing = "caption_missing" if source == "know" else "translation_missing"
    yield drop(missing, text(fresh(), None))
    yield drop(missing, text(fresh(), " \n "))
    if source == "know":
        other = fresh()
        other.record["captions"]["lang"] = "en"
        yield drop("caption_other_language", other)
    yield drop("text_nul", text(fresh(), "a\0b"))
    yield drop("text_lone_surrogate", text(fresh(), "a\ud800b"))
    yield drop("text_too_long", text(fresh(), "a" * (1 << 20) + "b"))
    yield drop("duplicate_bytes", _Row(first.data, first.record, first.translation))
    again = Image.open(io.BytesIO(first.data or b"")).convert("RGB")
    yield drop("duplicate_picture", fresh(encode(again, quality=60)))
    damaged = fresh()
    damaged.data = encode(picture(-1))  # not the bytes that the listing names
    yield drop("id_mismatch", damaged)
    yield file(b"", "image_empty") if source == "know" else file(b"\0" * 100, "image_format")
    yield file(encode(picture(-2, (640, 480)))[:5_000], "image_broken")
    yield file(bomb(), "image_too_large")
    frames = [picture(-3), picture(-4)]
    yield file(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), "image_animated")
    yield file(b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "image_format")
    kept = [
        encode(picture(next_seed(language, source, 1)).convert("CMYK")),
        encode(_transparent(next_seed(language, source, 2)), "PNG"),
        encode(picture(next_seed(language, source, 3)), "WEBP"),
        encode(picture(next_seed(language, source, 4)), "GIF"),
        encode(picture(next_seed(language, source, 5)).convert("L"), "PNG"),
    ]
    for data in kept:
        expected["kept"] += 1
        yield fresh(data)
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying, shown upright: 96 x 64 becomes 64 x 96
    expected["kept"] += 1
    tree.corrected[language, source] += 1
    yield fresh(encode(picture(next_seed(language, source, 6)), exif=turned))
    lying = fresh()
    lying.record["image"]["resolution"] = [899, 599]
    expected["kept"] += 1
    tree.corrected[language, source] += 1
    yield lying
    expected["kept"] += 1
    yield text(fresh(), "\u202bمسجد\u202c \u200fالأقصى")
    bare = fresh()
    bare.record.update(labels=None, url="file:///etc/passwd", image=None)
    expected["kept"] += 1
    yield bare


def next_seed(language: str, source: str, number: int) -> int:
    """A seed of a flawed picture's own, far from those of `generated`."""
    return 10**9 + zlib.crc32(f"{language}-{source}-{number}".encode())


def _transparent(seed: int) -> Image.Image:
    image = picture(seed).convert("RGBA")
    ImageDraw.Draw(image).rectangle([0, 0, 30, 30], fill=(0, 0, 0, 0))
    return image


def _write(rows: Iterator[_Row], root: Path, language: str, source: str, parts: int) -> None:
    """Listings in `parts` files with the release's names, images named by their id, translations beside."""
    folder = root / language / KINDS[source]
    folder.mkdir(parents=True, exist_ok=True)
    names = [
        f"image_release_v2_{language}_{KINDS[source]}_json_in_part-{zlib.crc32(language.encode()):012x}-{n:06d}.jsonl"
        for n in range(parts)
    ]
    listings = [open(root / name, "wb") for name in names]  # noqa: SIM115
    translations = open(root / f"trans_{language}.json", "w", encoding="utf-8") if source == "ling" else None
    if translations:
        translations.write("[")
    known: set[str] = set()
    for number, row in enumerate(rows):
        line = row.raw if row.raw is not None else json.dumps(row.record, ensure_ascii=True).encode()
        listings[number * 7 % parts if number else 0].write(line + b"\n" * (1 + number % 11 // 10))
        if row.data is not None:
            (folder / row.record["img_id"]).write_bytes(row.data)
        img_id = row.record.get("img_id")
        if translations and row.translation is not None and img_id not in known:
            separator = ",\n" if known else ""
            known.add(img_id)
            translations.write(separator + json.dumps({"img_id": img_id, "caption": row.translation}))
    for file in listings:
        file.close()
    if translations:
        translations.write("]")
        translations.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--languages", nargs="+", default=["ar"])
    parser.add_argument("--rows", type=int, default=1000, help="sound rows a language and source")
    parser.add_argument("--images", type=Path, help="a folder of PNGs to make the images from; generated by default")
    parser.add_argument("--side", type=int, default=256, help="px of an image made from --images")
    parser.add_argument("--no-flaws", action="store_true")
    options = parser.parse_args()
    pictures = (lambda: views_of(options.images, options.side)) if options.images else generated
    made_tree = make_release(
        options.out, tuple(options.languages), options.rows, images=pictures, flaws=not options.no_flaws
    )
    print(json.dumps({"-".join(key): counts for key, counts in made_tree.expected.items()}, indent=1))
