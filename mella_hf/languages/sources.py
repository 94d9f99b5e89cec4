"""Read what maintained sources say about a language: Unicode CLDR (through Babel), and `tables.toml`."""

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from mella_hf.languages.scripts import RTL, unicode_scripts

# In the order in which `mella describe` tries them: the paper's two services first.
SERVICES = ("deepl", "google", "microsoft", "libre", "nllb", "madlad")


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "tables.toml").read_text("utf-8"))


@cache
def table(name: str) -> dict[str, str]:
    """Code -> value: of a service its own code of the language, of "snowball" the algorithm, of a list the code."""
    found = _tables()[name]
    if isinstance(found, str):
        return {code: code for code in found.split()}
    return {code: code for code in found.get("same", "").split()} | {k: v for k, v in found.items() if k != "same"}


def translation_codes(code: str) -> tuple[tuple[str, str], ...]:
    """(service, its code of the language) for the services and models that cover it, the preferred one first."""
    return tuple((service, table(service)[code]) for service in SERVICES if code in table(service))


def judge_of(code: str) -> str | None:
    """The quality-estimation model whose encoder read the language: "cometkiwi", "africomet", or None."""
    if code in table("xlmr"):
        return "cometkiwi"
    return "africomet" if code in table("afroxlmr") else None


@cache
def _locale(code: str) -> Any:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return None


class CldrFacts(TypedDict, total=False):
    """What CLDR says of a language. `scripts` are ISO 15924 codes, `rtl` says whether it is written from the right."""

    name: str
    native_name: str
    scripts: tuple[str, ...]
    rtl: bool


@cache
def cldr_facts(code: str) -> CldrFacts:
    """`name`, `native_name`, `scripts` and `rtl` as CLDR has them; what it lacks is left out."""
    from babel import Locale
    from babel.core import get_global

    locale, facts = _locale(code), CldrFacts()
    name = Locale("en").languages.get(code.replace("-", "_"))
    if name is not None:
        facts["name"] = str(name)
    if locale is not None and locale.get_language_name():
        facts["native_name"] = str(locale.get_language_name())
    likely = get_global("likely_subtags").get(code.replace("-", "_"), "").split("_")
    if locale is not None and locale.script:
        facts["scripts"] = (locale.script,)
    elif len(likely) > 1:
        facts["scripts"] = (likely[1],)
    if "scripts" in facts:
        facts["rtl"] = facts["scripts"][0] in RTL
    return facts


_DEAD = frozenset({"grc", "hbo", "la", "zxx"})


@cache
def _script_owners() -> dict[str, frozenset[str]]:
    """Unicode script -> the codes of living languages, of those in the tables, that are usually written in it."""
    from babel.core import get_global

    codes = {code for name in ("pictured", "py3langid", "xlmr", "snowball") for code in table(name)} - _DEAD
    owners: dict[str, set[str]] = {}
    for code in codes:
        likely = get_global("likely_subtags").get(code, "").split("_")
        for script in unicode_scripts(likely[1]) if len(likely) > 1 else ():
            owners.setdefault(script, set()).add(code)
    return {script: frozenset(users) for script, users in owners.items()}


@cache
def own_scripts(code: str, scripts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a language's scripts that no other language here is written in, so that one letter tells it."""
    names = dict.fromkeys(one for script in scripts for one in unicode_scripts(script))
    return tuple(name for name in names if _script_owners().get(name, frozenset({code})) == {code})


def canonical_code(tag: str) -> str:
    """The code of a language as CLDR writes it: of "iw", "ara" and "pt-BR" they are he, ar and pt."""
    from babel.core import get_global

    code = tag.replace("-", "_").partition("_")[0].lower()
    return str(get_global("language_aliases").get(code, code)).partition("_")[0]


def join_list(items: Iterable[str], code: str) -> str:
    """A list of things as the language writes it: "a, b and c"; with commas where CLDR does not know the language."""
    from babel.lists import format_list

    items = list(items)
    return format_list(items, locale=_locale(code)) if _locale(code) is not None else ", ".join(items)
