"""Carry names through a translation: marked before, found again after it, in the form that the language wants.

A name is marked with tags around it, `<n1>Karlův most</n1>`, so that a translator may inflect it in place: "po
<n1>Karlově mostě</n1>". What comes back between the tags stays if it is a form of the name, by the matching of
keywords; otherwise the name as written takes its place.
"""

import re
from collections.abc import Sequence

from mella_hf.languages import get_language
from mella_hf.metrics.entities import named_and_unsupported
from mella_hf.metrics.matching import contains
from mella_hf.text.tokens import analyze

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


def unmark_names(translation: str, names: Sequence[str], language: str) -> tuple[str, int]:
    """A translation without the tags, and how many names had to be put back as they were written.

    A tag that was lost or has no partner is removed; the text around it stays.
    """
    text, inside, restored = "", "", 0
    opened: int | None = None
    for piece in _TAG.split(translation):
        if not _TAG.fullmatch(piece):
            inside += piece
            continue
        number = int(piece.strip("</n>"))
        if piece.startswith("</") and number == opened and number <= len(names):
            name = names[number - 1]
            if not has_name(inside, name, language):
                inside, restored = name, restored + 1
        opened = None if piece.startswith("</") else number
        text, inside = text + inside, ""
    return text + inside, restored


def has_name(text: str, name: str, language: str) -> bool:
    """Whether a text has a name, in any of its forms."""
    entry = get_language(language)
    return contains(analyze(text, entry), entry.normalizer(name))


def names_problem(text: str, names: Sequence[str], claims: Sequence[str], language: str) -> str | None:
    """`name_lost` if a translation lacks one of the names, `name_added` if it has one that no claim supports."""
    if not all(has_name(text, name, language) for name in names):
        return "name_lost"
    return "name_added" if named_and_unsupported(text, (*claims, *names), language)[1] else None


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Finds the names as whole words, the longest first."""
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(longest)})(?!\w)")
