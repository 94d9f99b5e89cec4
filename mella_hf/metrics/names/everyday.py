"""Stems of a language's everyday words. In scripts without capitals, any other word may be a name.

The counts come from film subtitles (Hermit Dave's FrequencyWords, from OpenSubtitles 2018), as shipped with
`pyspellchecker`.
"""

from collections import Counter
from functools import lru_cache

from mella_hf.errors import MissingExtraError
from mella_hf.languages import Language
from mella_hf.text.tokens import arabic_bases, stem_words

EVERYDAY_SHARE = 1e-6  # of all words said: a stem said once in a million words is known to everyone


@lru_cache(maxsize=4)
def everyday_stems(language: Language) -> frozenset[str]:
    """Stems that make up at least a millionth of spoken words; empty if there are no counts for the language.

    Raises:
        MissingExtraError: when pyspellchecker is not installed.
    """
    try:
        from spellchecker import SpellChecker
    except ImportError as error:
        raise MissingExtraError("pyspellchecker", "metrics", "Everyday words in keywords") from error
    if language.code not in SpellChecker.languages():
        return frozenset()
    counts = SpellChecker(language=language.code).word_frequency.dictionary
    words = [language.normalizer(word) for word in counts]
    stems: Counter[str] = Counter()
    for stem, count in zip(stem_words(words, language.stemmer), counts.values(), strict=True):
        stems[stem] += count
    least = EVERYDAY_SHARE * sum(counts.values())
    return frozenset(stem for stem, count in stems.items() if count >= least)


@lru_cache(maxsize=1 << 16)  # words: a few thousand are most of what is written
def is_everyday(word: str, language: Language) -> bool:
    """Whether a normalised word, with or without clitics, is an everyday word; True if there are no counts."""
    known = everyday_stems(language)
    bases = arabic_bases(word) if language.stemmer == "arabic" else [word]
    return not known or not known.isdisjoint(stem_words(bases, language.stemmer))
