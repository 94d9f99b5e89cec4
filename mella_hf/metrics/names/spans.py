"""Spans of names in a text, and those that every language marks alike: quoted names, and brands in Latin letters."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from mella_hf.languages import Language
from mella_hf.metrics.names.measures import measured

MAX_WORDS = 6  # of a quoted name; longer quotes are sentences


class Span(NamedTuple):
    """A name's place in a text: the characters [start, end)."""

    start: int
    end: int


def outermost(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, without those that lie in or overlap an earlier, longer one."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


@lru_cache(maxsize=1)
def patterns() -> dict[str, Any]:
    """The regular expressions by which names are found; they need a package that is loaded at first use."""
    import regex

    word = r"[\p{L}\p{M}\p{N}]+(?:[-’'\u200c][\p{L}\p{M}\p{N}]+)*"
    return {
        "word": regex.compile(word),
        "quoted": regex.compile(
            r"«([^«»]++)»|[“„]([^“”„]++)[”“]|\"([^\"]++)\"|''([^']++)''|(?<!\w)'([^']++)'(?!\w)"
            r"|(?<!\w)‘([^‘’\n]++)’(?!\p{Ll})|「([^「」]++)」|『([^『』]++)』|《([^《》]++)》|〈([^〈〉]++)〉|»([^«»]++)«"
        ),
        "thai": regex.compile(r"\p{Thai}"),
        "latin": regex.compile(r"(?<!\d)\d*+\p{Latin}[\p{Latin}\p{M}\d]*+(?:[- ][\p{Latin}\d][\p{Latin}\p{M}\d]*+)*+"),
        "dash": regex.compile(r"\s+[-–—]\s|,\s"),
        # A maker of two words or more, or with initials; a title without marks; what follows it. A colon says that it
        # is a title; after another mark the rest has the year.
        "work": regex.compile(
            r"(?=\p{Lu})(?:\p{Lu}\.\s?|\p{Lu}[\p{L}\p{M}'’-]++\s)+\p{Lu}[\p{L}\p{M}'’-]++"
            r"(?::\s+(?P<title>[^\d\s,.:;()«»„“”\"!?][^,.:;()«»„“”\"!?]*+)(?=,\s)"
            r"|[.,]\s+(?P<title>[^\d\s,.:;()«»„“”\"!?][^,.:;()«»„“”\"!?]*?)(?=[.,]\s(?:.*\D)?(?:1[0-9]|20)\d\d(?!\d)))"
        ),
        "sentence": regex.compile(r"(?:^|[.!?…:]\s+|\n|[–—]\s+|\s-\s+)[\s\W]*$"),
        # A score, a year, an ordinal number of a date: no part of the name before it.
        "number": regex.compile(r"(?<!\d)(?:\d++\s?[-–—:]\s?\d|(?:1[5-9]|20)\d\d(?!\d)|\d{1,2}\.\s\p{Ll})"),
    }


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    return list(patterns()["word"].findall(text))


def quoted(text: str, has_case: bool) -> Iterator[Span]:
    """Names in quotation marks, but not what somebody says, which ends with a comma.

    Args:
        has_case: a name has a capital or a digit.
    """
    for match in patterns()["quoted"].finditer(text):
        group = match.lastindex
        name = match.group(group)
        if name.rstrip().endswith(",") or (has_case and not any(c.isupper() or c.isdigit() for c in name)):
            continue
        start = match.start(group) + len(name) - len(name.lstrip())  # « name » has spaces inside
        if 0 < len(name.split()) <= MAX_WORDS:
            yield Span(start, start + len(name.strip()))


def latin(text: str, language: Language) -> Iterator[Span]:
    """Latin-script words in a text of another script: brands, models, species."""
    numbers = list(patterns()["word"].finditer(text))
    measures = {numbers[at].start() for at in measured(text, numbers, language)}
    for match in patterns()["latin"].finditer(text):
        end = match.end()
        while end > match.start() and any(match.start() < start < end for start in measures):
            end = max(start for start in measures if match.start() < start < end)
        name = text[match.start() : end].rstrip(" -")
        if len(name) > 1 and match.start() not in measures:
            yield Span(match.start(), match.start() + len(name))
