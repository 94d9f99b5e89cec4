"""Find a keyword in an answer: the words one after another, as each language compares them."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

from mella_hf.errors import MellaError
from mella_hf.languages import Language, get_language
from mella_hf.metrics.matching.unspaced import NO_WORD, is_found_unspaced, text_of_place, without_common_words
from mella_hf.metrics.matching.word_forms import WordForms
from mella_hf.metrics.names.thai import is_common_place
from mella_hf.text.spelling import spelling
from mella_hf.text.tokens import TokenAnalysis, analyze, arabic_bases

Mode = Literal["exact", "stem", "fuzzy"]

MIN_JOINED = 4  # letters of a Vietnamese name that may be written together or apart
MIN_COMPOUND = 5  # letters of an Arabic name that may be written together or apart


def keyword_hits(
    prediction: str | TokenAnalysis,
    keywords: Iterable[str],
    language: str | Language,
    mode: Mode = "stem",
    plain: bool = False,
) -> tuple[int, int]:
    """How many of an image's keywords an answer names.

    Args:
        plain: diacritics do not count (Latin letters).

    Returns:
        (hits, distinct normalised keywords). Keywords without a letter or digit do not count.

    Raises:
        MellaError: on an unknown mode.
    """
    entry = get_language(language) if isinstance(language, str) else language
    analysis = analyze(prediction, entry) if isinstance(prediction, str) else prediction
    written: dict[str, bool] = {}  # with a capital
    for keyword in keywords:
        for normalized in distinct_keywords((keyword,), entry):
            written[normalized] = written.get(normalized, False) or any(map(str.isupper, keyword))
    hits = sum(contains(analysis, keyword, mode, plain, capital) for keyword, capital in written.items())
    return hits, len(written)


def distinct_keywords(keywords: Iterable[str], language: Language) -> list[str]:
    """Normalised keywords, each once, in order; those without a letter or digit are left out."""
    normalized = (language.normalizer(keyword) for keyword in keywords)
    return list(dict.fromkeys(keyword for keyword in normalized if any(map(str.isalnum, keyword))))


def contains(
    text: TokenAnalysis, keyword: str, mode: Mode = "stem", plain: bool = False, capital: bool | None = None
) -> bool:
    """Whether an analysed text names a keyword.

    Args:
        capital: whether the keyword is written with a capital, so that an ordinary word in small letters is not it; or
            without, so that it needs none in the answer. None: not known.
    """
    if mode not in get_args(Mode):
        raise MellaError(f"Unknown keyword mode {mode!r}; choose one of {', '.join(get_args(Mode))}.")
    wanted = _analyze_keyword(keyword, text.language)
    words = text.words
    if text.language.tokenizer == "kiwi":
        words = without_common_words(wanted, text, words, False)
    elif wanted.words == [_ALI] and text.language.stemmer == "arabic" and _ON in text.raw:
        text = analyze(text.raw.replace(_ON, NO_WORD), text.language)
        words = text.words
    elif text.language.tokenizer == "newmm" and is_common_place(wanted.normalized):
        text = analyze(text_of_place(wanted.normalized, text), text.language)
        words = text.words

    def is_name(found: Sequence[str]) -> bool:
        return not capital or not _is_ordinary(found, text)

    if _contiguous(wanted.words, words, lambda a, b: a == b, is_name):
        return True
    if mode == "exact":
        return False
    if text.language.tokenizer != "words":
        return is_found_unspaced(wanted, text, fuzzy=mode == "fuzzy")
    forms = WordForms(text, alone=len(wanted.words) == 1, fuzzy=mode == "fuzzy", plain=plain, capital=capital)
    if _contiguous(wanted.words, text.words, forms.match, is_name):
        return True
    if text.language.stemmer == "arabic":
        return _joined_otherwise(wanted.words, text.words)
    return text.language.stemmer is None and _syllables_joined(wanted.words, words)


_ALI, _ON = "علي", "على"  # a given name, and the preposition that the normaliser makes equal to it


def _joined_otherwise(wanted: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the words contain an Arabic compound, written as one word or as two: عبدالله and عبد الله are equal."""
    letters = "".join(wanted)
    if len(letters) < MIN_COMPOUND or letters not in "".join(words):
        return False
    for at, word in enumerate(words):
        for span in filter(letters.startswith, arabic_bases(word)):
            for more in words[at + 1 :]:
                if len(span) >= len(letters):
                    break
                span += more
            if span == letters:
                return True
    return False


def _syllables_joined(wanted: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the words have a name of syllables in another spacing, as Vietnamese has: Sa Pa, Sapa."""
    letters = "".join(wanted)
    if len(letters) < MIN_JOINED:
        return False
    if len(wanted) > 1:
        return letters in words
    return any(first + second == letters for first, second in pairwise(words))


@lru_cache(maxsize=65536)
def _analyze_keyword(keyword: str, language: Language) -> TokenAnalysis:
    return analyze(keyword, language)


def _contiguous(
    wanted: Sequence[str],
    words: Sequence[str],
    match: Callable[[str, str], bool],
    is_name: Callable[[Sequence[str]], bool],
) -> bool:
    if not wanted or len(wanted) > len(words):
        return False
    return any(
        all(match(want, words[at + k]) for k, want in enumerate(wanted)) and is_name(words[at : at + len(wanted)])
        for at in range(len(words) - len(wanted) + 1)
    )


def _is_ordinary(found: Sequence[str], text: TokenAnalysis) -> bool:
    """Whether words of a text that uses capitals are ordinary ones there: "орёл летит" does not name Орёл.

    Where no dictionary tells, every word in small letters is ordinary.
    """
    if not text.capitals or not text.capitals.isdisjoint(found):
        return False
    dictionary = spelling(text.language)
    return dictionary is None or all(map(dictionary.is_ordinary, found))
