"""Keep names through a translation: mark them before it, and find them again after it, in inflected forms too.

A name is marked with tags around it, `<n1>Karlův most</n1>`, so that a translator may inflect it in place: "po
<n1>Karlově mostě</n1>". What comes back between the tags stays if it is a form of the name, by the matching of
keywords; otherwise the name as written takes its place.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mella_hf.languages import get_language
from mella_hf.ling.translation_checks import english_names
from mella_hf.ling.translators.sentences import split_sentences
from mella_hf.metrics.entities import named_and_unsupported
from mella_hf.metrics.matching import contains
from mella_hf.metrics.names.everyday import is_everyday
from mella_hf.metrics.names.gazetteer import has_case
from mella_hf.text.tokens import analyze

FORM_RATIO = 70.0  # rapidfuzz ratio: Kutné Hoře of Kutná Hora is 80, Prague of Praha 55
MOST_GROWTH = 2  # a form is at most so many times as long as its name
_TAG = re.compile(r"(</?n\d{1,3}>)")


def used_names(caption: str, names: Sequence[str]) -> list[str]:
    """The names that a caption uses as they are written, in the order of the names."""
    found = {match.group() for match in _pattern(names).finditer(caption)} if names else set()
    return [name for name in names if name in found]


def without_names(text: str, names: Sequence[str]) -> str:
    """A text without these names, to tell its language."""
    return _pattern(names).sub(" ", text) if names else text


def mark_names(caption: str, names: Sequence[str]) -> str:
    """The caption with tags around each name: `<n1>` is the first of the names."""
    if not names:
        return caption
    numbers = {name: number for number, name in enumerate(names, 1)}

    def tagged(match: re.Match[str]) -> str:
        number = numbers[match.group()]
        return f"<n{number}>{match.group()}</n{number}>"

    return _pattern(names).sub(tagged, caption)


@dataclass(frozen=True)
class Unmarked:
    """A translation without tags.

    Attributes:
        forms: the name as written -> the forms in which it came back.
        restored: how many names had to be put back as they were written.
    """

    text: str
    forms: dict[str, list[str]]
    restored: int


def unmark_names(translation: str, names: Sequence[str], language: str) -> Unmarked:
    """Take the tags away, and put the name as written where something else came back.

    A tag that was lost or has no partner is removed; the text around it stays.
    """
    text, inside, restored = "", "", 0
    forms: dict[str, list[str]] = {}
    opened: int | None = None
    for piece in _TAG.split(translation):
        if not _TAG.fullmatch(piece):
            inside += piece
            continue
        number = int(piece.strip("</n>"))
        if piece.startswith("</") and number == opened and 0 < number <= len(names):
            name = names[number - 1]
            if not is_form(inside, name, language):
                inside, restored = name, restored + 1
            forms.setdefault(name, []).append(inside)
        opened = None if piece.startswith("</") else number
        text, inside = text + inside, ""
    return Unmarked(text + inside, forms, restored)


def has_name(text: str, name: str, language: str) -> bool:
    """Whether a text has a name, in any of its forms that the matching of keywords knows."""
    entry = get_language(language)
    return contains(analyze(text, entry), entry.normalizer(name))


def is_form(text: str, name: str, language: str) -> bool:
    """Whether what came back between the tags of a name is a form of it: Kutné Hoře of Kutná Hora.

    Looser than `has_name`, because the tags say which name it is: most letters are the same, without diacritics.
    """
    from rapidfuzz import fuzz

    if len(text) > MOST_GROWTH * len(name) + 10 or not text.strip():
        return False
    return has_name(text, name, language) or fuzz.ratio(_folded(text, language), _folded(name, language)) >= FORM_RATIO


def names_problem(
    text: str,
    forms: Mapping[str, Sequence[str]],
    names: Sequence[str],
    claims: Sequence[str],
    caption: str,
    language: str,
) -> str | None:
    """`name_lost` if a translation lacks one of the names, `name_added` if it has one that no claim supports.

    Args:
        forms: in which names came back between their tags; they count as the names.
        caption: the English text that was translated.
    """
    if not all(name in forms or has_name(text, name, language) for name in names):
        return "name_lost"
    known = [*claims, *names, *(form for found in forms.values() for form in found)]
    return "name_added" if added_names(text, known, without_names(caption, names), language) else None


def added_names(text: str, known: Sequence[str], caption: str, language: str) -> list[str]:
    """The names in a description that none of the known texts has.

    Two things are not taken for names: a single everyday word that only begins sentences, though some place has it as
    well (Lidé, "people", is one); and, in scripts without capitals, where any rare word looks like a name, whatever
    translates a caption that has no name.

    Args:
        caption: the English text that was translated, without the names that are known.
    """
    entry = get_language(language)
    if not has_case(entry) and not english_names(caption):
        return []
    unsupported = named_and_unsupported(text, known, language)[1]
    return [
        name
        for name in unsupported
        if len(name.split()) > 1 or not is_everyday(entry.normalizer(name), entry) or not _only_begins(text, name)
    ]


def _only_begins(text: str, name: str) -> bool:
    """Whether a name stands nowhere but at the beginning of sentences."""
    return not any(name in sentence.strip()[1:] for sentence in split_sentences(text))


def _folded(text: str, language: str) -> str:
    """Without case, diacritics and what the language does not tell apart."""
    spread = unicodedata.normalize("NFD", get_language(language).normalizer(text).casefold())
    return "".join(character for character in spread if not unicodedata.combining(character))


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Finds the names as whole words, the longest first."""
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(longest)})(?!\w)")
