"""Split a text between sentences into pieces that join to exactly the same text."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

# For English only: texts to translate are English, and an extra cut in a native text does no harm.
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st mt no vs etc inc ltd co jr sr approx fig e.g i.e a.m p.m u.s u.k cf ca".split()
)
_END = re.compile(
    r"""(?<![.!?…؟।۔።]) [.!?…؟।۔።]++ ["'”’»)\]]*+ \s++   # a mark that a space must follow: 3.5 ends nothing
    | [。！？]++ [」』”’）]*+ \s*+        # a mark that none need follow
    | (?<!\s) [^\S\n]*+ \n \s*+""",
    re.VERBOSE,
)
_CLAUSE = re.compile(r"(?<=[,;:،؛、，；：–—])\s*")
_SPACE = re.compile(r"(?<=\S)\s+(?=\S)")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each with the white space after it; joined they are the text."""
    cuts = [match.end() for match in _END.finditer(text) if _ends(text, match)]
    return _cut(text, cuts)


def split_text(text: str, limit: int, size: Callable[[str], int] = len) -> list[str]:
    """Split a text into as few pieces as possible between sentences, none larger than the limit.

    Joined, the pieces are the text. A sentence that is too large is cut between clauses, then words, then
    characters (never before a combining mark).

    Args:
        limit: maximum size of a piece without surrounding white space, at least 1.
        size: measures a text; characters by default.
    """
    if size(text.strip()) <= limit:
        return [text] if text else []
    pieces: list[str] = []
    for sentence in split_sentences(text):
        parts = [sentence] if size(sentence.strip()) <= limit else _divide(sentence, limit, size)
        for part in parts:
            if pieces and size((pieces[-1] + part).strip()) <= limit:
                pieces[-1] += part
            else:
                pieces.append(part)
    return pieces


def reassemble(pieces: Sequence[str], translations: Iterable[str]) -> str:
    """Put translations in the place of the pieces, with the pieces' surrounding white space."""
    found = []
    for piece, translation in zip(pieces, translations, strict=True):
        core = piece.strip()
        found.append(piece.replace(core, translation.strip(), 1) if core else piece)
    return "".join(found)


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether a sentence ends at a full stop: not after an abbreviation or an initial, nor before a small letter."""
    if not match.group().startswith(".") or match.group().startswith("..") or "\n" in match.group():
        return True
    word = re.split(r"[\s(\[\"“‘]", text[max(0, match.start() - 20) : match.start()])[-1]
    if word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isupper()):
        return False
    return not text[match.end() : match.end() + 1].islower()


def _cut(text: str, cuts: Iterable[int]) -> list[str]:
    edges = [0, *(c for c in cuts if 0 < c < len(text)), len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False) if a < b]


def _divide(sentence: str, limit: int, size: Callable[[str], int]) -> list[str]:
    """Cut one sentence into parts that fit, at the best places possible."""
    for pattern in (_CLAUSE, _SPACE):
        parts = _cut(sentence, [match.end() for match in pattern.finditer(sentence)])
        if all(size(part.strip()) <= limit for part in parts):
            return parts
    divided: list[str] = []
    for part in parts:
        divided += [part] if size(part.strip()) <= limit else _characters(part, limit, size)
    return divided


def _characters(word: str, limit: int, size: Callable[[str], int]) -> list[str]:
    parts: list[str] = [""]
    for character in word:
        joins = unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Mc")
        if parts[-1] and not joins and size((parts[-1] + character).strip()) > limit:
            parts.append("")
        parts[-1] += character
    return parts
