"""Find names in a script without capitals: places, people, sights, feasts, and words that are rare.

What the rules ask about a word by itself is worked out once for each word: a few thousand words are most of what is
written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any

from mella_hf.languages import Language
from mella_hf.metrics.names.arabic import arabic_names, is_given, is_kind, is_opener, is_ordinary
from mella_hf.metrics.names.everyday import is_everyday
from mella_hf.metrics.names.gazetteer import places, small_places
from mella_hf.metrics.names.lexicon import is_marked_name, is_ordinary_arabic
from mella_hf.text import lid
from mella_hf.text.spelling import function_words
from mella_hf.text.tokens import arabic_bases

MIN_RARE_LETTERS = 4
LONGEST_PLACE = 3  # words
_FEAST = ("عيد", "وعيد")  # not بعيد, which is "far" more often than "on the feast"
_REMEMBERED = 1 << 14  # words, at about 10 MB


@dataclass(frozen=True, slots=True)
class _Word:
    """What is known of a word, whatever stands around it.

    Attributes:
        normalized: as the language's normaliser writes it.
        in_names: the same for the rules of people and sights; "" for the preposition that is written as a given name.
        opens_place: its forms, with or without clitics, with which places of several words begin.
        may_be_rare: it has enough letters of the script, and is no ordinary word of the rules.
        is_marked: the spelling dictionary has it as a name, and nothing else.
        is_ordinary: the spelling dictionary has it, and not only as a name.
        is_listed: it is a given name or a smaller city.
        clitic: letters of "and", "in" or "for" that are written together with a place: وتركيا is تركيا.
        sight_clitic: the same before what a sight or an institution is: وحزب.
    """

    normalized: str
    in_names: str
    opens_place: tuple[str, ...]
    is_place: bool
    is_kind: bool
    is_feast: bool
    may_be_rare: bool
    is_everyday: bool
    is_marked: bool
    is_ordinary: bool
    is_listed: bool
    clitic: int
    sight_clitic: int

    @property
    def is_foreign(self) -> bool:
        """Whether the dictionary lacks the word, or nobody says it."""
        return self.may_be_rare and not (self.is_ordinary and self.is_everyday)

    @classmethod
    def of(cls, word: str, language: Language) -> "_Word":
        """Look a word up."""
        is_arabic = language.stemmer == "arabic"
        normalized = language.normalizer(word)
        in_names = "" if word == "على" else normalized  # it is normalised to the given name علي
        sight_clitic = 0
        if is_arabic and word[0] in _CLITICS and is_opener(normalized[1:], language):
            if not is_opener(normalized, language):
                in_names, sight_clitic = normalized[1:], 1
        bases = arabic_bases(normalized) if is_arabic else [normalized]
        may_be_rare = _has_letters(normalized, language) and not (is_arabic and is_ordinary(in_names, language))
        # Words of grammar are no names; nor are verbs, whose prefix is joined in Persian: نمی‌دانم.
        may_be_rare = may_be_rare and word not in function_words(language) and not word.startswith(_VERB_PREFIXES)
        return cls(
            normalized,
            in_names,
            tuple(base for base in bases if base in _place_openers(language)),
            word not in function_words(language) and any((base,) in places(language) for base in bases),
            is_arabic and any(is_kind(base, language) for base in (in_names, *bases[1:])),
            is_arabic and normalized in _FEAST,
            may_be_rare,
            may_be_rare and is_everyday(normalized, language),
            is_arabic and may_be_rare and is_marked_name(word),
            is_arabic and may_be_rare and is_ordinary_arabic(word),
            any((base,) in small_places(language) for base in bases) or (is_arabic and is_given(normalized, language)),
            int(is_arabic and normalized.startswith(word[0]) and _has_clitic(normalized, language)),
            sight_clitic,
        )


def _has_clitic(word: str, language: Language) -> bool:
    known = places(language)
    return word[0] in _CLITICS and (word,) not in known and (word[1:],) in known


_VERB_PREFIXES = ("می\u200c", "نمی\u200c")
_CLITICS = "وفبلك"  # and, so, in, for, as


def _has_letters(word: str, language: Language) -> bool:
    return len(word) >= MIN_RARE_LETTERS and word.isalpha() and lid.script_share(word, language.scripts) == 1.0


@cache
def _look_up(language: Language) -> Callable[[str], _Word]:
    """The lookup of words in a language, which remembers them."""
    return lru_cache(maxsize=_REMEMBERED)(partial(_Word.of, language=language))


@cache
def _place_openers(language: Language) -> frozenset[str]:
    """The first words of the places that have several."""
    return frozenset(key[0] for key in places(language) | small_places(language) if len(key) > 1)


def caseless_names(
    text: str, matches: Sequence[Any], language: Language, is_rare: Callable[[str], bool]
) -> Iterator[tuple[int, int]]:
    """The places [start, end) of names in a text.

    Args:
        matches: the words of the text, as a pattern matched them.
        is_rare: whether the corpus has a normalised word seldom.
    """
    words = list(map(_look_up(language), [match.group() for match in matches]))
    lengths = [_place_length(words, at, language) for at in range(len(words))]
    verbs: set[int] = set()
    if language.stemmer == "arabic":
        long_places = frozenset(at for at, length in enumerate(lengths) if length > 1)
        for first, end in arabic_names(
            [word.in_names for word in words], _breaks(text, matches), long_places, language
        ):
            if end < len(words) and words[end].in_names.startswith(("ي", "ت")):
                verbs.add(end)  # what the person does
            yield matches[first].start() + words[first].sight_clitic, matches[end - 1].end()
    unusual = [at not in verbs and _is_unusual(word, is_rare) for at, word in enumerate(words)]
    rare_start, rare_end = 0, -1
    for at, word in enumerate(words):
        if word.is_kind:
            continue
        length = lengths[at]
        if length:
            yield matches[at].start() + (word.clitic if length == 1 else 0), matches[at + length - 1].end()
            if word.clitic:
                continue
        # "the feast of the ..."; without the second article it is a birthday
        if word.is_feast and at + 1 < len(words) and words[at + 1].normalized.startswith("ال"):
            yield matches[at].start(), matches[at + 1].end()
        # A foreign name's parts, of which everybody knows one: سيرغي لافروف.
        beside = any(unusual[near] for near in (at - 1, at + 1) if 0 <= near < len(words))
        if unusual[at] or (beside and at not in verbs and word.is_foreign):
            start, end = matches[at].span()
            rare_start = rare_start if start == rare_end + 1 else start
            rare_end = end
            yield rare_start, rare_end


def _is_unusual(word: _Word, is_rare: Callable[[str], bool]) -> bool:
    """Whether a word is a name by itself: neither everyday speech nor the dictionary has it as anything else."""
    if not word.may_be_rare:
        return False
    if word.is_marked or is_rare(word.normalized):
        return True
    return not word.is_everyday and (word.is_listed or not word.is_ordinary)


def _breaks(text: str, matches: Sequence[Any]) -> frozenset[int]:
    """The words before which something other than a space or a hyphen stands."""
    spans = [match.span() for match in matches]
    between = ((at, text[spans[at - 1][1] : spans[at][0]]) for at in range(1, len(spans)))
    return frozenset(at for at, gap in between if gap not in (" ", "-"))


def _place_length(words: Sequence[_Word], at: int, language: Language) -> int:
    """How many words of a place's name stand here; the longest name counts, 0 for none."""
    word = words[at]
    if word.opens_place:
        for length in range(min(LONGEST_PLACE, len(words) - at), 1, -1):
            rest = [other.normalized for other in words[at + 1 : at + length]]
            keys = [(base, *rest) for base in word.opens_place]
            if any(key in places(language) or key in small_places(language) for key in keys):
                return length
    return int(word.is_place)
