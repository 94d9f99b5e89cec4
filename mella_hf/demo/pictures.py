"""The demo's pictures: the characters of a colour font, each with its name in a language.

The font is Debian's `fonts-noto-color-emoji`. Every language has the same characters, except those that it does not
name.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mella_hf.caches import cache_dir
from mella_hf.demo.cldr import Named, read_groups, read_names
from mella_hf.demo.debian import fetch_package
from mella_hf.errors import MellaError
from mella_hf.images.phash import hamming, phash

if TYPE_CHECKING:
    from PIL import Image, ImageFont

PACKAGES = ("unicode-cldr-core", "fonts-noto-color-emoji")
COMMON = Path("usr/share/unicode/cldr/common")
FONT = Path("usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
LICENSE = "Unicode-DFS-2016 AND OFL-1.1"
FONT_SIZE = 109  # px; the font's bitmaps have this size alone
# Faces and people, symbols and flags are not pictures of things.
GROUPS = ("Activities", "Animals & Nature", "Food & Drink", "Objects", "Travel & Places")
NO_KINDS = ("time",)  # clocks
MAX_ENGLISH_WORDS = 2
TWINS = 10  # bits of perceptual hash; green and red apples are nearer, and nobody could tell them apart when small
PICTURES, UNSEEN = 180, 30  # of all languages; and of these, those that are kept out of training


@dataclass(frozen=True)
class PictureSource:
    """Where the names and the font are."""

    common: Path
    font: Path


@dataclass(frozen=True)
class Thing:
    """A pictured thing with its name in one language.

    Attributes:
        character: what the font draws.
        entity: its English name.
        group, kind: its place in CLDR's list of characters.
        name: its name in the language.
        keywords: CLDR's keywords in the language.
    """

    character: str
    entity: str
    group: str
    kind: str
    name: str
    keywords: tuple[str, ...]


def find_source(folder: Path | str | None = None) -> PictureSource:
    """The names and the font; the first time, both packages are fetched with apt into the user's cache (27 MB).

    Args:
        folder: a folder that both packages were unpacked to.

    Raises:
        MellaError: the folder lacks a part, or apt cannot fetch a package.
    """
    if folder is not None:
        source = PictureSource(Path(folder).resolve() / COMMON, Path(folder).resolve() / FONT)
    else:
        mend = f"unpack the Debian packages {' and '.join(PACKAGES)} into one folder and pass it: --source DIR"
        names, fonts = (fetch_package(package, cache_dir() / "pictures", mend) for package in PACKAGES)
        source = PictureSource(names / COMMON, fonts / FONT)
    for path in (source.common / "annotations" / "en.xml", source.font):
        if not path.is_file():
            raise MellaError(
                f"There is no {path}. Unpack the Debian packages {' and '.join(PACKAGES)} into one folder "
                "(dpkg-deb -x), or leave out --source."
            )
    return source


@lru_cache(1024)
def draw(font: Path, character: str) -> "Image.Image | None":
    """A character as the font draws it, RGBA, cut to what is visible; None if the font does not have it."""
    from PIL import Image, ImageDraw

    image = Image.new("RGBA", (2 * FONT_SIZE, 2 * FONT_SIZE))
    ImageDraw.Draw(image).text((FONT_SIZE // 4, FONT_SIZE // 4), character, "black", _font(font), embedded_color=True)
    box = image.getbbox()
    return image.crop(box) if box else None


@cache
def _font(path: Path) -> "ImageFont.FreeTypeFont":
    from PIL import ImageFont

    try:
        return ImageFont.truetype(path, FONT_SIZE)
    except OSError as error:
        raise MellaError(f"{path} is not a font that Pillow can draw ({error}). Unpack the package again.") from None


@cache
def candidates(source: PictureSource) -> tuple[tuple[str, str, str, str], ...]:
    """(character, English name, group, kind) of what can be a picture, in an order that looks random.

    Of pictures that look alike, the first one stays.
    """
    english = read_names(source.common, "en")
    looks: list[int] = []
    missing = draw(source.font, "\U0010ffff")  # what the font draws for a character that it does not have
    found: list[tuple[str, str, str, str]] = []
    for character, (group, kind) in sorted(read_groups(source.common).items(), key=_order):
        name = english[character].name if character in english else ""
        if group not in GROUPS or kind in NO_KINDS or not _is_name_of_a_thing(name):
            continue
        image = draw(source.font, character)
        if image is None or image == missing:
            continue
        look = phash(_on_white(image))
        if all(hamming(look, other) > TWINS for other in looks):
            looks.append(look)
            found.append((character, name, group, kind))
    return tuple(found)


def _order(item: tuple[str, object]) -> bytes:
    return hashlib.sha256(item[0].encode()).digest()


def _is_name_of_a_thing(english: str) -> bool:
    """Whether an English name has one or two words, and is no face."""
    words = english.replace(":", " : ").split()
    return 0 < len(words) <= MAX_ENGLISH_WORDS and words[-1] != "face"


def _on_white(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    side = max(image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2), image)
    return square


def things_of(source: PictureSource, code: str, counts: Counter[str] | None = None) -> tuple[list[Thing], list[Thing]]:
    """The seen and the unseen things of a language: those of the first PICTURES candidates that it names.

    Args:
        counts: receives `missing_text` and `same_name`, the candidates that were passed over.

    Raises:
        MellaError: CLDR names no pictures in the language.
    """
    pictured = candidates(source)[:PICTURES]
    first_unseen = len(pictured) - min(UNSEEN, len(pictured) // 6)
    seen, unseen = list[Thing](), list[Thing]()
    named, said, counts = read_names(source.common, code), set[str](), Counter[str]() if counts is None else counts
    for number, candidate in enumerate(pictured):
        native = named.get(candidate[0])
        if native is None:
            counts["missing_text"] += 1
        elif native.name.casefold() in said:
            counts["same_name"] += 1
        else:
            said.add(native.name.casefold())
            (seen if number < first_unseen else unseen).append(Thing(*candidate, native.name, native.keywords))
    return seen, unseen


def keywords_in_name(native: Named | Thing) -> list[str]:
    """The name, and those of its keywords that it contains word for word: what an answer can be asked for."""
    return list(dict.fromkeys([native.name, *_contained(native.name, native.keywords)]))


def _contained(name: str, keywords: tuple[str, ...]) -> Iterator[str]:
    words = name.casefold().split()
    for keyword in keywords:
        part = keyword.casefold().split()
        if any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1)):
            yield keyword
