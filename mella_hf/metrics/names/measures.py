"""Numbers with their units, which are no part of a name: "Samsung Galaxy A54 128 GB", "Škoda Octavia 2.0 TDI".

The units' names are those of Unicode CLDR, in the language and in English.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from mella_hf.languages import Language
from mella_hf.text.spelling import function_words

_UNITS = (
    "digital-gigabyte digital-megabyte digital-terabyte mass-kilogram mass-gram volume-liter volume-milliliter "
    "volume-deciliter length-kilometer length-meter length-centimeter length-millimeter power-watt "
    "power-kilowatt electric-volt electric-ampere frequency-hertz frequency-megahertz frequency-gigahertz "
    "area-square-meter area-hectare "
    "duration-minute duration-hour duration-day duration-week duration-month duration-year"
).split()
_WITH_UNIT = re.compile(r"\d+([^\W\d]+)$")


def measured(text: str, words: Sequence[Any], language: Language) -> frozenset[int]:
    """The words of a text, by their place, that are numbers with units, or their units.

    Args:
        words: the words, as a pattern matched them.
    """
    found: set[int] = set()
    known = _unit_words(language)
    for at, match in enumerate(words):
        word = match.group()
        if not word[0].isdigit():
            continue
        joined = _WITH_UNIT.match(word)
        if joined is not None:
            if language.normalizer(joined.group(1)) in known:
                found.add(at)
            continue
        if not word.isdigit():
            continue
        decimal = at > 0 and at - 1 in found and text[words[at - 1].end() : match.start()] in (".", ",")
        if at + 1 < len(words) and words[at + 1].group().isdigit():
            decimal |= text[match.end() : words[at + 1].start()] in (".", ",")
        if decimal:
            found.add(at)
        if at + 1 < len(words) and text[match.end() : words[at + 1].start()] == " ":
            unit = words[at + 1].group()
            # An engine's or a gearbox's letters stand where a unit does: 1.9 TDI.
            letters = decimal and sum(map(str.isupper, unit)) > 1
            if language.normalizer(unit) in known or letters:
                found.update((at, at + 1))
    return frozenset(found)


@cache
def _unit_words(language: Language) -> frozenset[str]:
    """How a language and English write the usual units, normalised; without what is also a word of grammar."""
    import regex
    from babel import Locale, UnknownLocaleError
    from babel.units import format_unit

    words: set[str] = set()
    for code in (language.code, "en"):
        try:
            locale = Locale.parse(code)
        except (UnknownLocaleError, ValueError):
            continue
        for unit in _UNITS:
            for length in _LENGTHS:
                for number in _NUMBERS:
                    written = format_unit(number, unit, length, locale=locale)
                    words.update(language.normalizer(word) for word in regex.findall(r"[\p{L}\p{M}²]+", written))
    grammar = function_words(language)
    return frozenset(word for word in words if (len(word) > 1 or word in _LETTERS) and word not in grammar)


_LENGTHS: tuple[Literal["short", "long"], ...] = ("short", "long")
_NUMBERS = (1, 2, 5)  # one of each plural form
_LETTERS = frozenset("lgмлг")  # units of one letter; metres, volts and amperes in Latin letters are words or names, too
