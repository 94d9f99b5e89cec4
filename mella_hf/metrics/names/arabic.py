"""Find names in Arabic alt-texts, where no capital letter marks them.

A person is found by the given name, a place by the word for its kind (mosque, castle). The words are those of the
language's file, in its table `[naming]`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from mella_hf.languages import Language
from mella_hf.metrics.names.everyday import is_everyday

_LONGEST = 4  # words of a person's name


class _Words:
    """The words of the language's file as its normaliser writes them."""

    def __init__(self, language: Language):
        def known(words: Iterable[str]) -> frozenset[str]:
            return frozenset(map(language.normalizer, words))

        self.language = language
        naming = language.naming
        self.sights, self.kinds, self.definite = map(
            known, (naming.place_nouns, naming.not_in_names, naming.definite_places)
        )
        self.ordinary, self.given, self.alone = map(known, (naming.ordinary, naming.given_names, naming.names_alone))
        self.starts, self.between = known(naming.name_openers), known(naming.name_particles)
        self.places = frozenset(tuple(map(language.normalizer, place.split())) for place in naming.places)
        self.streets, self.titles, self.ordinals = map(known, (naming.street_nouns, naming.titles, naming.ordinals))
        self.article = "ال"
        self.professions, self.heads = known(naming.professions), known(naming.heads)
        self.institutions = known(naming.institutions)
        places = {place[0] for place in self.places}
        self.openers = self.sights | self.definite | self.given | self.starts | places


@cache
def _words(language: Language) -> _Words:
    return _Words(language)


def arabic_names(
    words: Sequence[str], breaks: frozenset[int], long_places: frozenset[int], language: Language
) -> Iterator[tuple[int, int]]:
    """The places [first, end) of names among normalised words.

    Args:
        breaks: the words that something other than a space stands before, where a name cannot go on.
        long_places: the words with which a place of several words begins, where a person's name cannot go on.
    """
    known = _words(language)
    for at, word in enumerate(words):
        person = _professional(words, at, breaks, known)
        if person is not None:
            yield person
        institution = _institution_end(words, at, breaks, known) if word in known.institutions else None
        if institution is not None:
            yield at, institution
        if word not in known.openers:
            continue
        ends = _person_end(words, at, breaks | long_places, known), _sight_end(words, at, breaks, known)
        yield from ((at, end) for end in ends if end)
        for length in (2, 1):
            place = tuple(words[at : at + length])
            if len(place) == length and place in known.places:
                yield at, at + length
                break


def is_ordinary(word: str, language: Language) -> bool:
    """Whether a word is none of a name by itself, however seldom it is said."""
    known = _words(language)
    return word in known.sights or word in known.ordinary


def is_opener(word: str, language: Language) -> bool:
    """Whether a word says what a sight or an institution is, and stands first in its name."""
    known = _words(language)
    return word in known.sights or word in known.institutions


def is_given(word: str, language: Language) -> bool:
    """Whether a word is a person's given name, or also one."""
    return word in _words(language).given


def is_kind(word: str, language: Language) -> bool:
    """Whether a word says what the place after it is: مدينة, which is also a town's name, but not in an alt-text."""
    return word in _words(language).kinds


def _person_end(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> int | None:
    """The end of a person's name that begins here; None for none."""
    if words[at] in known.starts and at + 1 < len(words) and at + 1 not in breaks and words[at] != "ام":
        end = at + 2
    elif words[at] == "ام" and at + 1 < len(words) and not words[at + 1].startswith(known.article):
        end = at + 2 if words[at + 1] not in known.ordinary else at
    elif words[at] in known.given:
        end = at + 1
    else:
        return None
    while end < len(words) and end - at < _LONGEST and end not in breaks and _goes_on(words, end, known):
        if end - at > 1 and words[end] not in known.given | known.between and is_everyday(words[end], known.language):
            break  # "Bashar al-Assad, the people": a third part is a name by itself
        end += 2 if words[end] in known.between and end + 1 < len(words) else 1
    return end if end - at > 1 or words[at] in known.alone else None


def _professional(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> tuple[int, int] | None:
    """The two words of a person's name after what the person is: للفنان جواد سليم, وزير الخارجية سامح شكري."""
    word, after = words[at], at + 1
    if word in known.heads:
        if after >= len(words) or not words[after].startswith(known.article):
            return None
        after += 1
    elif word not in known.professions and not (word.startswith("لل") and "ا" + word[1:] in known.professions):
        return None
    while after < len(words) and words[after].startswith(known.article) and words[after].endswith(_RELATIVE):
        after += 1  # of which country: الكاتب المصري
    end = after + 2
    if end < len(words) and words[end - 1] in known.between:
        end += 1  # كوثر بن هنية
    if end > len(words) or any(part in breaks for part in range(at + 1, end)):
        return None
    if not all(_goes_on(words, part, known) for part in range(after, end)):
        return None
    if words[after + 1].startswith(known.article) and words[after] not in known.given:
        return None  # "the writer, owner of the house"
    return after, end


_RELATIVE = ("ي", "يه", "ية")


def _institution_end(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> int | None:
    """The end of an institution's name, with the adjectives after it: منظمة الصحة العالمية; None for none."""
    end = at + 1
    if end >= len(words) or end in breaks or words[end] in known.ordinary:
        return None
    if not words[end].startswith(known.article) and (words[end],) not in known.places:
        return None
    end += 1
    while end < len(words) and end not in breaks and words[end].startswith(known.article):
        if not words[end].endswith(_RELATIVE) or words[end] in known.ordinary:
            break
        end += 1
    return end


def _goes_on(words: Sequence[str], at: int, known: _Words) -> bool:
    word = words[at]
    if word in known.given or word in known.between:
        return True
    if word in known.ordinary or word in known.kinds or word in known.sights or len(word) < 3:
        return False
    # Not a verb in the present, nor a word with a preposition.
    return word[0] not in "يتبلوف" or word.startswith(known.article)


def _sight_end(words: Sequence[str], at: int, breaks: frozenset[int], known: _Words) -> int | None:
    """The end of a sight's name that begins with what it is; None for none."""
    after = at + 1
    if after >= len(words) or after in breaks or words[after] in known.ordinary:
        return None
    if words[at] in known.sights:
        if words[after] in known.sights:  # مئذنة جامع القرويين is جامع القرويين, but ساحة جامع الفنا is one
            return _sight_end(words, after, breaks, known) if words[at] in known.streets else None
        person = after + 1 if words[after] in known.titles and after + 1 not in breaks else after
        end = after + 1
        if person < len(words) and words[person] in known.given:  # one name is enough here: جسر الملك فهد
            end = person + 1
        if person < len(words):
            end = max(end, _person_end(words, person, breaks, known) or 0)
        if end < len(words) and end not in breaks and words[end] in known.ordinals:
            end += 1
        return end
    if words[at] in known.definite and words[after].startswith(known.article):
        return after + 1
    return None
