"""Text in, tokens and stems out, by the rules of its language.

A text is normalised, cut into tokens (words, numbers, single punctuation marks) and its words are
stemmed, once; every metric works on the result. Tokens never hold a space.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.languages import Language, get_language

_EXTRA = "metrics"


@dataclass(frozen=True)
class Token:
    """One token of a normalised text.

    Attributes:
        text: never empty, holds no space.
        start, end: where it stands in the normalised text, in characters. Korean contractions may overlap.
        tag: the analyser's part of speech (Sejong tag set, Korean only), else "".
    """

    text: str
    start: int
    end: int
    tag: str = ""

    @property
    def is_word(self) -> bool:
        """Whether it is a word or a number, not punctuation."""
        return any(map(str.isalnum, self.text))


@lru_cache(maxsize=1)
def _word_pattern() -> Any:
    import regex

    return regex.compile(r"[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]")


def _unicode_words(text: str) -> list[Token]:
    """Runs of letters, marks and digits; every other visible character alone."""
    return [Token(m.group(), m.start(), m.end()) for m in _word_pattern().finditer(text)]


@lru_cache(maxsize=1)
def _kiwi(process: int) -> Any:
    """Kiwi, one instance a process: its threads do not survive a fork."""
    try:
        from kiwipiepy import Kiwi
    except ImportError as error:
        raise MissingExtraError("kiwipiepy", _EXTRA, "Korean tokenisation") from error
    return Kiwi(num_workers=1)


def _korean_morphemes(text: str) -> list[Token]:
    """Kiwi's morphemes. A form with a space inside (a name in its dictionary) is closed up."""
    return [
        Token("".join(m.form.split()), m.start, m.end, str(m.tag))
        for m in _kiwi(os.getpid()).tokenize(text)
        if m.form.strip()
    ]


@lru_cache(maxsize=1)
def _newmm() -> Callable[[str], list[str]]:
    try:
        from pythainlp.tokenize import word_tokenize
    except ImportError as error:
        raise MissingExtraError("pythainlp", _EXTRA, "Thai tokenisation") from error
    return lambda text: word_tokenize(text, engine="newmm", keep_whitespace=False, join_broken_num=False)


def _thai_words(text: str) -> list[Token]:
    """newmm's words, with punctuation inside them set apart."""
    tokens, position = [], 0
    for word in _newmm()(text):
        for piece in _unicode_words(word):
            start = text.index(piece.text, position)
            position = start + len(piece.text)
            tokens.append(Token(piece.text, start, position))
    return tokens


_TOKENIZERS: dict[str, Callable[[str], list[Token]]] = {
    "words": _unicode_words,
    "kiwi": _korean_morphemes,
    "newmm": _thai_words,
}


def tokenizer_version(name: str) -> str:
    """The tokenizer and its package's version, for the signature: "newmm-5.4.0"."""
    from importlib.metadata import PackageNotFoundError, version

    package = {"words": "regex", "kiwi": "kiwipiepy", "newmm": "pythainlp"}[name]
    try:
        return "words" if name == "words" else f"{name}-{version(package)}"
    except PackageNotFoundError as error:
        raise MissingExtraError(package, _EXTRA, "Tokenisation") from error


# Arabic proclitics: conjunction (and, so), preposition (by, as, for), article; longest first.
_ARABIC_PROCLITICS = tuple(
    sorted(
        {c + p for c in ("", "و", "ف") for p in ("ال", "بال", "كال", "لل", "ب", "ل", "ك", "")} - {""},
        key=lambda clitic: (-len(clitic), clitic),
    )
)
_ARTICLE_SHARE = ("ال", "لل")
MIN_ARABIC_STEM = 3  # letters: Arabic roots have three


def arabic_bases(word: str) -> list[str]:
    """The word and what is left of it without proclitics, when at least a root's three letters are left."""
    bases = [word]
    for clitic in _ARABIC_PROCLITICS:
        if word.startswith(clitic) and len(word) - len(clitic) >= MIN_ARABIC_STEM:
            bases.append(word[len(clitic) :])
    return bases


def _without_article(word: str) -> str:
    """The word without its article and what stands before that: the safe part of clitic stripping."""
    for clitic in _ARABIC_PROCLITICS:
        if clitic.endswith(_ARTICLE_SHARE) and word.startswith(clitic) and len(word) - len(clitic) >= MIN_ARABIC_STEM:
            return word[len(clitic) :]
    return word


@lru_cache(maxsize=16)
def _snowball(algorithm: str) -> Any:
    try:
        import Stemmer
    except ImportError as error:
        raise MissingExtraError("PyStemmer", _EXTRA, "Stemming") from error
    if algorithm not in Stemmer.algorithms():
        raise MellaError(f"Unknown stemmer {algorithm!r}; PyStemmer has {', '.join(Stemmer.algorithms())}.")
    return Stemmer.Stemmer(algorithm)


def stem_words(words: list[str], stemmer: str | None) -> list[str]:
    """The stem of each word; the word itself where the language has no stemmer.

    Snowball removes an Arabic article and a suffix in one pass but not always both, so the article
    goes first: القهوة and قهوة share a stem.
    """
    if stemmer is None:
        return words
    if stemmer == "arabic":
        words = [_without_article(word) for word in words]
    return _snowball(stemmer).stemWords(words)


@dataclass(frozen=True)
class Analysis:
    """A text as the metrics see it.

    Attributes:
        normalized: the normalised text.
        tokens: words, numbers and punctuation marks, in order.
    """

    language: Language
    normalized: str
    tokens: tuple[Token, ...]

    @cached_property
    def words(self) -> list[str]:
        """The tokens that are words or numbers."""
        return [token.text for token in self.tokens if token.is_word]

    @cached_property
    def stems(self) -> list[str]:
        """One stem for each of `words`."""
        return stem_words(self.words, self.language.stemmer)


def analyze(text: str, language: str | Language) -> Analysis:
    """Normalise and tokenise a text, once for all metrics.

    Raises:
        UnknownLanguageError: for a code without an entry.
        MissingExtraError: when the language's tokenizer or stemmer is not installed.
    """
    entry = get_language(language) if isinstance(language, str) else language
    if entry.tokenizer not in _TOKENIZERS:
        raise MellaError(
            f"Language {entry.code!r} asks for the tokenizer {entry.tokenizer!r}; "
            f"choose one of {', '.join(_TOKENIZERS)}."
        )
    normalized = entry.normalizer(text)
    return Analysis(entry, normalized, tuple(_TOKENIZERS[entry.tokenizer](normalized)))


def normalize(text: str, language: str) -> str:
    """A text as its language's normaliser writes it."""
    return get_language(language).normalizer(text)


def tokenize(text: str, language: str) -> list[str]:
    """The tokens of a normalised text, punctuation included."""
    return [token.text for token in analyze(text, language).tokens]


def stem(words: list[str], language: str) -> list[str]:
    """The stem of each normalised word."""
    return stem_words(words, get_language(language).stemmer)
