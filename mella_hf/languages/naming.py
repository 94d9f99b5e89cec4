"""`Naming`: how a language writes names, for the rules that find them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mella_hf.errors import MellaError


@dataclass(frozen=True)
class Naming:
    """The words and endings by which a language's names are told: the table `[naming]` of its file.

    All of it is optional. Words are base forms in small letters, as the spelling dictionary gives them.

    Attributes:
        place_nouns: common nouns in the names of places: bridge, square, castle.
        street_nouns: those of them after which a name stands in any case: street, square.
        town_nouns: those of them whose name says in which town they are: "Универзитет у Београду".
        nouns_last: a place's noun follows its name, whatever the name is: "Margit híd", "Nemzeti Múzeum".
        place_adjectives: regular expression of adjectives that are made of names: "Karlův", "Невский".
        common_adjectives: how adjectives begin that end alike, but are not made of names.
        adjectives: regular expression of any adjective's ending.
        saints: how the word for a saint begins.
        rivers: words between a town and its river or hill: "Ústí nad Labem".
        depictions: what shows a person, and is not part of the name: bust, portrait.
        surnames: endings of surnames, after which the word before is a given name.
        likely_surnames: endings of surnames that other words have, too.
        institutions: what an institution is, as its name begins: "bảo tàng".
        not_in_names: words that are said before a name, such as what a person is.
        works: kinds of works whose title may follow without quotation marks: film, novel.
        syllable: regular expression of any syllable in small letters, where each is written as a word; other words are
            foreign, and names.
        family_name_first: whether the family name stands before the given name.
        parts_agree: whether the parts of a name stand in the same case.
        infinitives: regular expression of the base forms of verbs, which no name in a capital goes on with.
        purposes: the preposition before what an institution is for: "Agencija za privatizaciju".
        apostrophe_endings: whether an apostrophe stands before the ending of a name: "Ankara'da".
        customs: dishes, feasts and customs, which are named though they may be written small: "halászlé". Every
            language can have these, whether it has capitals or not.
        custom_heads: what ends the word for a dish or a festival, in Korean.

    Where no capital marks a name (Arabic, Thai), these tell one, too:

    Attributes:
        definite_places: nouns of places with the article, before an adjective of a name: المسجد الأموي.
        places: places that speech mentions often, or whose names are other words too.
        ordinary: words with which no name goes on.
        given_names: people's given names.
        names_alone: those of them that are no other word.
        name_openers: how names of two words and more begin: عبد, أم.
        name_particles: what stands within a name: بن; or begins the rest of one.
        professions: what a person is, before the name.
        heads: the head of an office, which follows: وزير الخارجية.
        titles: titles that are part of a place's name: جسر الملك فهد.
        ordinals: ordinal numbers of kings.
        makers: words before who made something.
        verbs: how verbs begin.
        formed: how words begin that are formed from others: nouns of verbs, tools.
    """

    place_nouns: frozenset[str] = frozenset()
    street_nouns: frozenset[str] = frozenset()
    town_nouns: frozenset[str] = frozenset()
    nouns_last: bool = False
    place_adjectives: str = ""
    common_adjectives: tuple[str, ...] = ()
    adjectives: str = ""
    saints: tuple[str, ...] = ()
    rivers: frozenset[str] = frozenset()
    depictions: frozenset[str] = frozenset()
    surnames: tuple[str, ...] = ()
    likely_surnames: tuple[str, ...] = ()
    institutions: frozenset[str] = frozenset()
    not_in_names: frozenset[str] = frozenset()
    works: frozenset[str] = frozenset()
    syllable: str = ""
    family_name_first: bool = False
    parts_agree: bool = False
    infinitives: str = ""
    purposes: frozenset[str] = frozenset()
    apostrophe_endings: bool = False
    customs: frozenset[str] = frozenset()
    custom_heads: frozenset[str] = frozenset()
    definite_places: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    ordinary: frozenset[str] = frozenset()
    given_names: frozenset[str] = frozenset()
    names_alone: frozenset[str] = frozenset()
    name_openers: frozenset[str] = frozenset()
    name_particles: frozenset[str] = frozenset()
    professions: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()
    titles: frozenset[str] = frozenset()
    ordinals: frozenset[str] = frozenset()
    makers: frozenset[str] = frozenset()
    verbs: tuple[str, ...] = ()
    formed: tuple[str, ...] = ()

    @classmethod
    def read(cls, said: Any, where: str) -> "Naming":
        """What a file says in `[naming]`. Raises MellaError on an unknown key or a value of another kind."""
        if not isinstance(said, Mapping):
            raise MellaError(f"{where}: naming is {said!r}; it must be a table.")
        known = {one.name: one.default for one in fields(cls)}
        unknown = sorted(said.keys() - known.keys())
        if unknown:
            raise MellaError(
                f"{where} has the unknown key {unknown[0]!r} in [naming]; choose from {', '.join(sorted(known))}."
            )
        return cls(**{key: _value(value, known[key], key, where) for key, value in said.items()})

    def said(self) -> dict[str, Any]:
        """The table `[naming]` of a file that says this."""
        values = {one.name: (getattr(self, one.name), one.default) for one in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else sorted(value) if isinstance(value, frozenset) else value
            for key, (value, default) in values.items()
            if value != default
        }


def _value(value: Any, default: Any, key: str, where: str) -> Any:
    if isinstance(default, (bool, str)):
        if not isinstance(value, type(default)):
            raise MellaError(f"{where}: {key} is {value!r}; it must be {_KINDS[type(default)]}.")
        if isinstance(value, str):
            _check_pattern(value, key, where)
        return value
    if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
        raise MellaError(f"{where}: {key} is {value!r}; it must be a list of texts, none empty.")
    return type(default)(value)


_KINDS = {bool: "true or false", str: "a text"}


def _check_pattern(pattern: str, key: str, where: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise MellaError(f"{where}: {key} is {pattern!r}, which is not a regular expression: {error}.") from error
