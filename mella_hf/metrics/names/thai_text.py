"""Find names in a Thai text: by the rules of `thai`, and words that a tagger or the dictionary tell."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

from mella_hf.errors import MissingExtraError
from mella_hf.languages import Language
from mella_hf.metrics.names.gazetteer import places
from mella_hf.metrics.names.spans import Span, patterns
from mella_hf.metrics.names.thai import is_kind, may_be_name, thai_names
from mella_hf.text import lid

MIN_LETTERS = 2  # consonants and free vowels of a name


def thai_words(text: str) -> list[str]:
    """All words of a text, with what stands between them. Raises MissingExtraError."""
    try:
        from pythainlp.tokenize import word_tokenize
    except ImportError as error:
        raise MissingExtraError("pythainlp", "metrics", "Thai names in keywords") from error

    return word_tokenize(text, engine="newmm", keep_whitespace=True, join_broken_num=False)


def names_in_thai(text: str, language: Language) -> Iterator[Span]:
    """Places, words tagged as proper nouns, and words the dictionary lacks: mostly foreign names in Thai letters."""
    words = thai_words(text)
    from pythainlp.tag import pos_tag

    known, known_places = _thai_dictionary(), places(language)
    starts = list(accumulate(map(len, words), initial=0))
    for first, end in thai_names(words, known):
        yield Span(starts[first], starts[end])
    position, run_end = 0, -1
    start = 0
    for word, tag in pos_tag(words, engine="perceptron", corpus="tud"):
        position = text.index(word, position)
        normalized = language.normalizer(word)
        thai = patterns()["thai"].search(word) is not None and lid.letter_count(word) >= MIN_LETTERS
        listed = (normalized,) in known_places or normalized not in known
        if thai and not is_kind(word) and (listed or (tag == "PROPN" and may_be_name(normalized))):
            if run_end == position:
                yield Span(start, position + len(word))
            else:
                start = position
                yield Span(start, position + len(word))
            run_end = position + len(word)
        position += len(word)


@lru_cache(maxsize=1)
def _thai_dictionary() -> frozenset[str]:
    from pythainlp.corpus import thai_words as listed

    return frozenset(listed())
