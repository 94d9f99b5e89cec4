"""What Unicode CLDR says in a language: the names of pictures, their keywords, lists, and plain text to read.

Names come from the XML of Debian's package `unicode-cldr-core`. Lists, dates and display names come from Babel, which
carries the same data.
"""

import random
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from mella_hf.errors import MellaError

PARENTS = {"nn": "no"}  # supplementalData.xml; another language's file completes that of Nynorsk
INHERITED = "↑↑↑"  # "as in the parent": no name of its own
LINES, LISTS = 3000, 800  # plain lines of a language that the base reads, and lists of some of them
LISTED = 24  # characters of a line that may stand in a list, at most
UNITS: tuple[Literal["day", "week", "month", "year", "hour"], ...] = ("day", "week", "month", "year", "hour")
MEASURES = ("length-kilometer", "length-meter", "mass-kilogram", "volume-liter", "temperature-celsius", "mass-gram")
_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
_LABEL = re.compile(r"\[(?P<characters>[^\]]*)\]\s*;(?P<group>[^;]*);(?P<kind>.*)")


@dataclass(frozen=True)
class Named:
    """What a language calls a character: its name and its keywords."""

    name: str
    keywords: tuple[str, ...]


def clean(text: str) -> str:
    """A name as people write it: NFC, without marks of direction, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_MARKS).split())


def read_names(common: Path, code: str) -> dict[str, Named]:
    """The characters that a language names.

    Args:
        common: the folder `common` of CLDR.

    Raises:
        MellaError: CLDR has no names in the language, or the file is not XML.
    """
    path = common / "annotations" / f"{code.replace('-', '_')}.xml"
    if not path.is_file():
        raise MellaError(f"CLDR names no pictures in {code!r}: there is no {path}. Choose another language.")
    found = read_names(common, PARENTS[code]) if code in PARENTS else {}
    names, keywords = dict[str, str](), dict[str, tuple[str, ...]]()
    for entry in _root(path).iter("annotation"):
        text, character = clean(entry.text or ""), entry.get("cp", "")
        if not text or text == INHERITED:
            continue
        if entry.get("type") == "tts":
            names[character] = text
        else:
            keywords[character] = tuple(filter(None, map(str.strip, text.split("|"))))
    return found | {character: Named(name, keywords.get(character, ())) for character, name in names.items()}


def _root(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise MellaError(f"{path} is not readable XML ({error}). Unpack the package again.") from None


def read_groups(common: Path) -> dict[str, tuple[str, str]]:
    """Character -> (group, kind), such as ("Food & Drink", "food-fruit"); sequences of characters are left out."""
    path = common / "properties" / "labels.txt"
    if not path.is_file():
        raise MellaError(f"There is no {path}; unpack the whole package unicode-cldr-core.")
    groups: dict[str, tuple[str, str]] = {}
    for line in path.read_text("utf-8-sig").splitlines():
        found = _LABEL.fullmatch(line.partition("#")[0].strip())
        if found is None:
            continue
        single = re.sub(r"\{[^{}]*\}", "", found["characters"])
        for first, last in re.findall(r"(\S)(?:-(\S))?", single):
            for point in range(ord(first), ord(last or first) + 1):
                groups.setdefault(chr(point), (found["group"].strip(), found["kind"].strip()))
    return groups


def join_names(names: Sequence[str], code: str) -> str:
    """Names as a list of the language, by its list pattern: "a, b, and c" in English."""
    from babel.lists import format_list

    return clean(format_list(list(names), locale=code.replace("-", "_")))


def plain_text(common: Path, code: str, apart: frozenset[str] = frozenset()) -> list[str]:
    """At most LINES plain lines of a language, drawn with a seed, and LISTS lists of two to four of the short ones.

    They are display names, dates, units, spelled-out numbers, and names of characters that are not pictures. The lists
    show how the language joins words, which may change how they are written.

    Args:
        apart: lines to leave out.
    """
    named = read_names(common, code)
    lines = {*_display_names(code), *_dates_and_units(code), *_numbers(common, code)}
    lines |= {one.name for one in named.values()}
    usable = sorted(text for text in map(clean, lines) if any(map(str.isalpha, text)) and text not in apart)
    rng = random.Random(f"text/{code}")
    lines_read = rng.sample(usable, min(LINES, len(usable)))
    short = [line for line in lines_read if len(line) <= LISTED]
    lists = [rng.sample(short, min(rng.randint(2, 4), len(short))) for _ in range(LISTS)]
    return lines_read + [join_names(names, code) for names in lists if names]


def _display_names(code: str) -> Iterator[str]:
    from babel import Locale

    locale = Locale.parse(code.replace("-", "_"))
    for table in (locale.languages, locale.territories, locale.scripts, locale.currencies, locale.variants):
        yield from map(str, table.values())


def _dates_and_units(code: str) -> Iterator[str]:
    from babel.dates import format_date, format_timedelta
    from babel.units import UnknownUnitError, format_unit

    locale = code.replace("-", "_")
    for number in range(0, 365, 6):
        yield format_date(date(2026, 1, 1) + timedelta(number), "full", locale=locale)
    for number in (1, 2, 3, 5, 11):
        for unit in UNITS:
            yield format_timedelta(timedelta(**{"days": number}), unit, threshold=1e9, locale=locale)
        for measure in MEASURES:
            try:
                yield format_unit(number, measure, locale=locale)
            except UnknownUnitError:  # the language has no word for it yet
                continue


def _numbers(common: Path, code: str) -> Iterator[str]:
    """Spelled-out numbers: the rules of the number format that are plain words."""
    path = common / "rbnf" / f"{code.replace('-', '_')}.xml"
    if path.is_file():
        for rule in _root(path).iter("rbnfrule"):
            text = (rule.text or "").strip().rstrip(";").lstrip("'")
            if not re.search(r"[<>=→←\[\]#$0-9]", text):
                yield text
