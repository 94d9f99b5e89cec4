"""Find names in Thai alt-texts. Thai marks names neither by capitals nor by spaces.

A sight is found by the word for what it is (temple, island), a person by the given name, and other names as titles of
Wikipedia that have a seldom word or say what they are.

The lists of people's names, the titles, the dictionaries and the counts of words are PyThaiNLP's; the others are those
of the language's file, in its table `[naming]`.
"""

from collections.abc import Iterator, Sequence
from functools import cache

from mella_hf.languages import get_language

_LONGEST = 4  # tokens of a sight's name after what it is


class _Words:
    """The words of the language's file, in its table `[naming]`."""

    def __init__(self) -> None:
        naming = get_language("th").naming
        self.sights, self.kinds, self.titles = naming.place_nouns, naming.not_in_names, naming.professions
        self.ordinary, self.inside = naming.ordinary, naming.name_particles
        self.works, self.makers = naming.works, naming.makers
        self.verbs, self.formed = naming.verbs, naming.formed
        self.no_title = self.kinds | self.titles | self.ordinary | {"งาน", "สะพานข้าม"}
        self.no_name = self.ordinary | self.kinds | self.sights
        self.long_sights = tuple(sight for sight in self.sights if len(sight) > _SHORT_SIGHT)


_SHORT_SIGHT = 3  # letters and signs; so short a word may begin another


@cache
def _words() -> _Words:
    return _Words()


@cache
def _people() -> tuple[frozenset[str], frozenset[str]]:
    """Given and family names."""
    from pythainlp.corpus import thai_family_names, thai_female_names, thai_male_names

    return frozenset(thai_male_names()) | frozenset(thai_female_names()), frozenset(thai_family_names())


def thai_names(tokens: Sequence[str], known: frozenset[str]) -> Iterator[tuple[int, int]]:
    """The places [first, end) of names among the tokens of a text, spaces among them.

    Args:
        known: the words of the dictionary.
    """
    for at, token in enumerate(tokens):
        if token in _words().sights or token in _words().kinds:
            end = _sight_end(tokens, at)
            if end is not None:
                yield (at if token in _words().sights else at + 1), end
        end = _title_end(tokens, at)
        if end is not None:
            yield at, end
    yield from _people_in(tokens, known)


def may_be_name(word: str) -> bool:
    """Whether a word that the tagger takes for a name can be one: not a common word, nor one that is built of two."""
    if word in _common_words() or word.startswith(_words().formed):
        return False
    return word in _titles() or not _is_built(word)


@cache
def _titles() -> frozenset[str]:
    """Titles of the Thai Wikipedia, without spaces."""
    from pythainlp.corpus import thai_wikipedia_titles

    return frozenset(thai_wikipedia_titles())


@cache
def _common_words() -> frozenset[str]:
    """The Royal Institute's dictionary, which has few names."""
    from pythainlp.corpus import thai_orst_words

    return frozenset(thai_orst_words())


@cache
def _said() -> dict[str, int]:
    """How often words are written."""
    from pythainlp.corpus.phupha import unigram_word_freqs

    return dict(unigram_word_freqs())


@cache
def is_common_place(name: str) -> bool:
    """Whether a province is also a common word: เลย is a particle, ตาก is to hang out to dry."""
    from pythainlp.corpus import provinces

    return name in map(str, provinces()) and name in _common_words()


def _is_built(word: str) -> bool:
    """Whether a word is two common words together."""
    common = _common_words()
    return any(word[:cut] in common and word[cut:] in common for cut in range(2, len(word) - 1))


_SELDOM = 60_000  # of 27 thousand million letters that PyThaiNLP counted: a word that is written less is seldom
_OFTEN = 10 * _SELDOM
_LONGEST_TITLE = 6  # tokens
_LEAST_TITLE = 5  # letters and signs


def _title_end(tokens: Sequence[str], at: int) -> int | None:
    """The end of the longest title that begins here and is a name; None for none."""
    token = tokens[at]
    if not token.strip() or token in _words().no_title or token.startswith((*_words().formed, *_words().verbs)):
        if not (token in ("สี่", "สาม", "สอง") and _is_work(tokens, at)):
            return None
    for end in range(min(len(tokens), at + _LONGEST_TITLE), at, -1):
        title = "".join(tokens[at:end])
        if len(title) < _LEAST_TITLE or title not in _titles() or title in _common_words():
            continue
        parts = tokens[at:end]
        if end == at + 1:
            kind = next((kind for kind in _words().long_sights if token.startswith(kind)), None)
            if kind is not None and not _is_everyday(token[len(kind) :]):
                return end
            continue
        if token in _words().sights and not all(part in _words().ordinary for part in parts[1:]):
            return end
        if _is_work(tokens, at) or min(_said().get(part, 0) for part in parts) < _SELDOM:
            return end
    return None


def _is_work(tokens: Sequence[str], at: int) -> bool:
    """Whether the word for a book, a film or a song stands before."""
    before = at - 1 - (at > 1 and not tokens[at - 1].strip())
    return at > 0 and before >= 0 and tokens[before] in _words().works


def _is_everyday(word: str) -> bool:
    return word in _words().ordinary or (word in _common_words() and _said().get(word, 0) >= _OFTEN)


def is_kind(token: str) -> bool:
    """Whether a token says what a thing is, and is no name by itself."""
    return token in _words().sights or token in _words().kinds or token in _words().titles or token in ("เจดีย์", "พระ")


def _sight_end(tokens: Sequence[str], at: int) -> int | None:
    end = at + 1
    while end < len(tokens) and end - at <= _LONGEST and _goes_on(tokens, end, end == at + 1):
        end += 1
    if end == at + 1:
        return None
    numbered = end + 1 < len(tokens) and tokens[end] == " " and tokens[end + 1].isdigit()  # สะพานพระราม 8
    closed = end + 2 >= len(tokens) or tokens[end + 2].isspace()
    return end + 2 if numbered and closed and len(tokens[end + 1]) < _YEAR else end


_YEAR = 4  # digits


def _goes_on(tokens: Sequence[str], at: int, first: bool) -> bool:
    token = tokens[at]
    if not token.strip() or not token[0].isalpha() or token.startswith(_words().verbs) or token in _words().kinds:
        return False
    if token in _words().inside:
        return first and at + 1 < len(tokens) and _goes_on(tokens, at + 1, False)
    return token not in _words().ordinary


def _people_in(tokens: Sequence[str], known: frozenset[str]) -> Iterator[tuple[int, int]]:
    """A given name after a space or a title, with the family name after it."""
    given, _ = _people()
    chunks = _chunks(tokens)
    for number, (first, end) in enumerate(chunks):
        titled = tokens[first] in _words().titles and end > first + 1
        first += titled
        maker = max((at + 1 for at in range(first, end - 1) if tokens[at] in _words().makers), default=None)
        if maker is not None:
            first, titled = maker, titled or tokens[maker - 1] == "โดย"
        name = "".join(tokens[first:end])
        after = chunks[number + 1] if number + 1 < len(chunks) and tokens[end].isspace() else None
        is_given = name in given
        may_be_given = name in _titles() and name not in _common_words() and not _is_place(tokens[first:end])
        if after is not None and (is_given or titled or may_be_given):
            last_end = _family_end(tokens, *after, known, sure=titled or (is_given and name not in known))
            if last_end is not None:
                yield first, last_end
                continue
        if (is_given or titled) and name and (titled or name not in known):
            yield first, end


def _is_place(tokens: Sequence[str]) -> bool:
    """Whether tokens are a province or a country, or begin with what a sight is."""
    return (
        "".join(tokens) in _known_places() or tokens[0] in _words().sights or tokens[0].startswith(_words().long_sights)
    )


@cache
def _known_places() -> frozenset[str]:
    from pythainlp.corpus import countries, provinces

    return frozenset((*countries(), *map(str, provinces()), "อยุธยา", "กรุงเทพ"))


def _family_end(tokens: Sequence[str], first: int, end: int, known: frozenset[str], sure: bool) -> int | None:
    """The end of a family name that opens what stands after a space; None for none.

    Args:
        sure: a given name stands before.
    """
    given, family = _people()
    if tokens[first].startswith((*_words().verbs, *_words().formed)) or tokens[first] in _words().no_name:
        return None
    for stop in range(end, first, -1):
        last = "".join(tokens[first:stop])
        rare = last in _titles() and last not in _common_words() and len(last) >= _LEAST_TITLE
        if last in _known_places():
            continue
        listed = last in family or last in given or rare
        if listed and (last not in known or (sure and last not in _common_words()) or (sure and stop == end)):
            return stop
    if sure and end - first > 1 and _is_unusual(tokens[first:end]):
        return end
    return None


def _is_unusual(tokens: Sequence[str]) -> bool:
    """Whether tokens that stand together are no phrase: no function word or verb is among them."""
    return not any(token in _words().no_name or token.startswith(_words().verbs) for token in tokens)


def _chunks(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """What stands between spaces and marks."""
    found, start = [], 0
    for at, token in enumerate([*tokens, " "]):
        if not any(map(str.isalnum, token)):
            if at > start:
                found.append((start, at))
            start = at + 1
    return found
