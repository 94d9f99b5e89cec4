"""Check a translation against its English source: lost numbers, changed names, wrong script, and similar.

A check that can be wrong about a good translation does not drop it: a name may be inflected (London, Londýn) or written
in another script, so a changed name is only a note for the reviewer.
"""

import re
import unicodedata
from functools import lru_cache

from mella_hf.languages import Language

MAX_SPELLED_OUT = 12  # a translator may write these as words: "2 dogs", "dva psi"
# Characters of a translation for each one of the English text. The Universal Declaration of Human Rights has 0.45 (ko)
# to 1.24 (vi) as a whole, 0.30 (ko) to 1.96 (vi) in single paragraphs; half as much room again.
LENGTH_RATIO = (0.2, 3.0)
MIN_RATIO_CHARS = 40  # for shorter texts the ratio means nothing
COPY_SHARE = 0.7  # of the English words of a text, four in a row or more, found in its translation
_COPY_RUN = 4

_NUMBER = re.compile(r"\d+(?:[.,٫٬’'\u00a0\u202f ]\d{3})*(?:[.,٫]\d+)?")
_TAG = re.compile(
    r"</?[A-Za-z][^<>]*>|\{[\w.]*\}|%[sd]|https?://\S+|www\.\S+|(?<![\w.+-])[\w.+-]++@[\w-]++\.\w+|[#@]\w+"
)
_NAME = re.compile(r"(?<![.!?:;\"“]\s)(?<!^)(?<!\n)\b[A-Z][\w'’-]+")
_BRAND = re.compile(r"\b(?:[A-Z]{2,}\d*|[A-Za-z]+\d+\w*|[a-z]+[A-Z]\w*)\b")
_WORD = re.compile(r"\w+")


def numbers(text: str) -> set[str]:
    """The numbers of a text in ASCII digits, without grouping; 1,234.50, 1 234,50 and ١٬٢٣٤٫٥٠ are one number."""
    digits = "".join(str(unicodedata.decimal(c)) if unicodedata.decimal(c, None) is not None else c for c in text)
    return {_plain_number(match) for match in _NUMBER.findall(digits)}


def _plain_number(written: str) -> str:
    """ "1 234,50" -> "1234.5". Three digits after a single mark are a group: 1.234 is a thousand and more in most
    of the languages, and as long as both texts are read alike the reading does not matter."""
    parts = [part for part in re.split(r"\D+", written) if part]
    if len(parts) > 1 and len(parts[-1]) != 3:
        return f"{int(''.join(parts[:-1]))}.{parts[-1].rstrip('0') or '0'}"
    return str(int("".join(parts)))


def missing_numbers(source: str, translation: str) -> set[str]:
    """Numbers that the translation lost; small whole ones may have become words."""
    lost = numbers(source) - numbers(translation)
    return {n for n in lost if "." in n or int(n) > MAX_SPELLED_OUT}


def missing_tags(source: str, translation: str) -> set[str]:
    """Markup, placeholders and addresses that the translation lost."""
    return {tag for tag in (t.rstrip(".,;)") for t in _TAG.findall(source)) if tag not in translation}


def changed_names(source: str, translation: str, language: Language) -> set[str]:
    """Names of the source that the translation lacks.

    Abbreviations and brands are searched verbatim; in Latin script also capitalised words by their first letters,
    because endings change."""
    names = {name for name in _BRAND.findall(source) if name not in translation}
    if language.scripts[0] == "Latn":
        folded = _fold(translation)
        names |= {name for name in _NAME.findall(source) if _fold(name)[: max(3, len(name) - 3)] not in folded}
    return names


def english_names(text: str) -> set[str]:
    """Abbreviations and brands of an English text, and its capitalised words that begin no sentence."""
    return {*_BRAND.findall(text), *_NAME.findall(text)}


def is_copy(source: str, translation: str) -> bool:
    """Whether most of the English text is untranslated in the translation."""
    words, others = _WORD.findall(source.lower()), _WORD.findall(translation.lower())
    if len(words) < _COPY_RUN:
        return bool(words) and words == others
    runs = {tuple(others[i : i + _COPY_RUN]) for i in range(len(others) - _COPY_RUN + 1)}
    covered = set[int]()
    for start in range(len(words) - _COPY_RUN + 1):
        if tuple(words[start : start + _COPY_RUN]) in runs:
            covered.update(range(start, start + _COPY_RUN))
    return len(covered) >= COPY_SHARE * len(words)


def length_ratio_problem(source: str, translation: str) -> bool:
    """Whether the translation is far shorter or longer than any language's would be."""
    if len(source) < MIN_RATIO_CHARS:
        return False
    low, high = LENGTH_RATIO
    return not low <= len(translation) / len(source) <= high


def translation_problem(source: str, translation: str) -> str | None:
    """The first problem of a translation, or None.

    Problems: `translation_empty`, `untranslated`, `numbers_missing`, `tags_missing`, `length_ratio`."""
    if not translation.strip():
        return "translation_empty"
    if is_copy(source, translation):
        return "untranslated"
    if missing_numbers(source, translation):
        return "numbers_missing"
    if missing_tags(source, translation):
        return "tags_missing"
    if length_ratio_problem(source, translation):
        return "length_ratio"
    return None


@lru_cache(maxsize=1024)
def _fold(text: str) -> str:
    """Without case and diacritics."""
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
