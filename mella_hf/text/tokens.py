"""Cut text into tokens and stems by the rules of its language.

A text is normalised, cut into tokens (words, numbers, single punctuation marks), and its words are stemmed, once. Every
metric works on the result. A token never contains a space.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.languages import Language, get_language

_EXTRA = "metrics"
_STEM_CACHE = 200_000  # words: what a corpus has, at about 30 MB


_SENTENCE_ENDS = (".", "!", "?", "…", ":", ";", "-", "–", "—", "•", '"', "“", "„", "«", "»", "(")

Tagged = tuple[list[str], list[str]]  # tokens, and their parts of speech where the analyser knows them


def is_word(token: str) -> bool:
    """Whether a token is a word or a number, not punctuation."""
    return token[0].isalnum() or any(map(str.isalnum, token))


@lru_cache(maxsize=1)
def _word_pattern() -> Any:
    import regex

    return regex.compile(r"[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]")


def _unicode_words(text: str) -> Tagged:
    """Runs of letters, marks and digits; every other visible character alone."""
    tokens: list[str] = []
    for piece in text.split():
        if piece.isalnum():  # most are, and need no pattern
            tokens.append(piece)
        else:
            tokens += _word_pattern().findall(piece)
    return tokens, []


@lru_cache(maxsize=1)
def _kiwi() -> Any:
    """Kiwi without threads of its own: in a forked process it would wait for them for ever when it ends."""
    try:
        from kiwipiepy import Kiwi
    except ImportError as error:
        raise MissingExtraError("kiwipiepy", _EXTRA, "Korean tokenisation") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what 0 meant before Kiwi 0.21
        return Kiwi(num_workers=0)


_LONG_WORD = re.compile(r"\S{1000}")
_PIECE = re.compile(r"\S{1,1000}\s*|\s+")


class Morpheme(NamedTuple):
    """A morpheme, with its Sejong tag, its place in the text and the log-probability that Kiwi gives it."""

    form: str
    tag: str
    start: int
    end: int
    score: float


def korean_morphemes(text: str) -> list[Morpheme]:
    """Kiwi's morphemes. Kiwi needs time that grows with the square of a word's length, so very long ones are cut."""
    is_long = _LONG_WORD.search(text) is not None
    pieces = [(piece.start(), piece.group()) for piece in _PIECE.finditer(text)] if is_long else [(0, text)]
    tokenize = _kiwi().tokenize
    return [
        Morpheme(m.form, str(m.tag), start + m.start, start + m.end, m.score)
        for start, piece in pieces
        for m in tokenize(piece)
        if m.form.strip()
    ]


def _korean(text: str) -> Tagged:
    """Kiwi's forms and tags. A form with a space inside (a name in its dictionary) is closed up."""
    morphemes = korean_morphemes(text)
    return ["".join(m.form.split()) for m in morphemes], [str(m.tag) for m in morphemes]


@lru_cache(maxsize=1)
def _newmm() -> Callable[[str], list[str]]:
    try:
        from pythainlp.tokenize import word_tokenize
    except ImportError as error:
        raise MissingExtraError("pythainlp", _EXTRA, "Thai tokenisation") from error
    return lambda text: word_tokenize(text, engine="newmm", keep_whitespace=False, join_broken_num=False)


def _thai_words(text: str) -> Tagged:
    """newmm's words, with punctuation inside them set apart."""
    tokens: list[str] = []
    for word in _newmm()(text):
        if word.isalpha():
            tokens.append(word)
        else:
            tokens += _word_pattern().findall(word)
    return tokens, []


@lru_cache(maxsize=1)
def _icu() -> Any:
    try:
        from icu4py import breakers
    except ImportError as error:
        raise MissingExtraError("icu4py", _EXTRA, "Cutting a text without spaces into words") from error
    return breakers.WordBreaker


def _icu_words(text: str) -> Tagged:
    """The words of ICU's dictionaries, with punctuation set apart. The script of a run of letters says which one."""
    tokens: list[str] = []
    for word in _icu()(text, "und"):
        if word.isalpha():
            tokens.append(word)
        else:
            tokens += _word_pattern().findall(word)
    return tokens, []


_TOKENIZERS: dict[str, Callable[[str], Tagged]] = {
    "words": _unicode_words,
    "icu": _icu_words,
    "kiwi": _korean,
    "newmm": _thai_words,
}
_PACKAGES = {"words": "regex", "icu": "icu4py", "kiwi": "kiwipiepy", "newmm": "pythainlp"}


def check_tokenizer(language: Language) -> None:
    """Raise MellaError for a language whose texts no tokenizer here cuts into the right words."""
    if language.tokenizer == "none":
        raise MellaError(
            f"{language.name} ({language.code}) is written in {language.scripts[0]}, without spaces between words, "
            "and no tokenizer here knows its words: scores would mean nothing. If one of "
            f"{', '.join(_TOKENIZERS)} is right for it after all, say so in its file (`tokenizer = ...`)."
        )


def tokenizer_version(name: str) -> str:
    """The tokenizer and its package's version, for the signature: "newmm-5.4.0"."""
    from importlib.metadata import PackageNotFoundError, version

    package = _PACKAGES[name]
    try:
        if name == "icu":
            import icu4py

            return f"icu-{icu4py.icu_version}"
        return "words" if name == "words" else f"{name}-{version(package)}"
    except (ImportError, PackageNotFoundError) as error:
        raise MissingExtraError(package, _EXTRA, "Tokenisation") from error


def stemmer_version(algorithm: str | None) -> str:
    """The stemmer and PyStemmer's version, for the signature: "czech-3.1.0"; "none" for a language without one."""
    if algorithm is None:
        return "none"
    try:
        import Stemmer
    except ImportError as error:
        raise MissingExtraError("PyStemmer", _EXTRA, "Stemming") from error
    return f"{algorithm}-{Stemmer.version()}"


# Arabic proclitics: conjunction (and, so), preposition (by, as, for), article; longest first.
_ARABIC_PROCLITICS = tuple(
    sorted(
        {c + p for c in ("", "و", "ف") for p in ("ال", "بال", "كال", "لل", "ب", "ل", "ك", "")} - {""},
        key=lambda clitic: (-len(clitic), clitic),
    )
)
_ARTICLES = tuple(clitic for clitic in _ARABIC_PROCLITICS if clitic.endswith(("ال", "لل")))
MIN_ARABIC_STEM = 3  # letters: Arabic roots have three


def arabic_bases(word: str) -> list[str]:
    """The word and what is left of it without proclitics, when at least a root's three letters are left."""
    bases = [word]
    if not word.startswith(_ARABIC_PROCLITICS):  # most words
        return bases
    for clitic in _ARABIC_PROCLITICS:
        if word.startswith(clitic) and len(word) - len(clitic) >= MIN_ARABIC_STEM:
            bases.append(word[len(clitic) :])
    return bases


def _without_article(word: str) -> str:
    """The word without its article and what stands before that: the safe part of clitic stripping."""
    if word.startswith(_ARTICLES):
        for clitic in _ARTICLES:
            if word.startswith(clitic) and len(word) - len(clitic) >= MIN_ARABIC_STEM:
                return word[len(clitic) :]
    return word


class _Stems(dict[str, str]):
    """word -> stem, worked out when a word is first met."""

    def __init__(self, algorithm: str):
        try:
            import Stemmer
        except ImportError as error:
            raise MissingExtraError("PyStemmer", _EXTRA, "Stemming") from error
        if algorithm not in Stemmer.algorithms():
            raise MellaError(f"Unknown stemmer {algorithm!r}; PyStemmer has {', '.join(Stemmer.algorithms())}.")
        super().__init__()
        self._stem_word = Stemmer.Stemmer(algorithm, 0).stemWord  # without its own, slower cache

    def __missing__(self, word: str) -> str:
        if len(self) >= _STEM_CACHE:
            self.clear()
        self[word] = stem = self._stem_word(word)
        return stem


@lru_cache(maxsize=16)
def _snowball(algorithm: str) -> _Stems:
    return _Stems(algorithm)


def stem_words(words: list[str], stemmer: str | None) -> list[str]:
    """The stem of each word; the word itself where the language has no stemmer.

    Snowball removes an Arabic article and a suffix in one pass but not always both, so the article
    goes first: القهوة and قهوة share a stem.
    """
    if stemmer is None:
        return words
    if stemmer == "arabic":
        words = [_without_article(word) for word in words]
    return list(map(_snowball(stemmer).__getitem__, words))


@dataclass(frozen=True)
class TokenAnalysis:
    """A text as the metrics see it.

    Attributes:
        normalized: the normalised text.
        tokens: words, numbers and punctuation marks, in order; never empty, no spaces inside.
        tags: a part of speech for each token (Sejong tag set, Korean), or nothing.
        raw: the text as it came.
    """

    language: Language
    normalized: str
    tokens: list[str]
    tags: list[str]
    raw: str = ""

    @cached_property
    def capitals(self) -> frozenset[str]:
        """The normalised words that stand with a capital somewhere; all of them in a text without small letters."""
        upper = self.raw.upper() == self.raw
        pieces = (piece for piece in self.raw.split() if upper or any(map(str.isupper, piece)))
        return frozenset(_word_pattern().findall(self.language.normalizer(" ".join(pieces))))

    @cached_property
    def inner_capitals(self) -> frozenset[str]:
        """The normalised words that stand with a capital where no sentence begins: names, in most languages."""
        if self.raw.upper() == self.raw:
            return frozenset()
        pieces = self.raw.split()
        inner = [
            piece
            for before, piece in pairwise(pieces)
            if any(map(str.isupper, piece)) and not before.endswith(_SENTENCE_ENDS)
        ]
        return frozenset(_word_pattern().findall(self.language.normalizer(" ".join(inner))))

    @cached_property
    def words(self) -> list[str]:
        """The tokens that are words or numbers."""
        return [token for token in self.tokens if is_word(token)]

    @cached_property
    def stems(self) -> list[str]:
        """One stem for each of `words`."""
        return stem_words(self.words, self.language.stemmer)


def analyze(text: str, language: str | Language) -> TokenAnalysis:
    """Normalise and tokenise a text, once for all metrics.

    Raises:
        UnknownLanguageError: for a code without an entry.
        MissingExtraError: when the language's tokenizer or stemmer is not installed.
    """
    entry = get_language(language) if isinstance(language, str) else language
    check_tokenizer(entry)
    normalized = entry.normalizer(text)
    return TokenAnalysis(entry, normalized, *_TOKENIZERS[entry.tokenizer](normalized), text)


def normalize(text: str, language: str) -> str:
    """A text as its language's normaliser writes it."""
    return get_language(language).normalizer(text)


def tokenize(text: str, language: str) -> list[str]:
    """The tokens of a normalised text, punctuation included."""
    return analyze(text, language).tokens


def stem(words: list[str], language: str) -> list[str]:
    """The stem of each normalised word."""
    return stem_words(words, get_language(language).stemmer)
