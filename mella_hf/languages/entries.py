"""Read the entry of a language from its TOML file. What the file does not say comes from maintained sources.

name, native_name, scripts, rtl    by default as in Unicode CLDR
normalizer                         one of NORMALIZERS
tokenizer, stemmer, names          by default what fits the script; Snowball where it exists
identified_as, siblings            labels of the language identifier
declared_as, domains               what pages say that are in the language
letters, foreign_letters           that it is written with; that only its neighbours write
boilerplate, advertising           texts that describe no picture
notes                              for users of the language
[naming]                           how it writes names: see `Naming`
[translation]                      service = "its code of the language"
[prompts]                          by = "speaker" or "draft", know = [...], ling = [...]
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.languages import normalize
from mella_hf.languages.language import Language
from mella_hf.languages.naming import Naming
from mella_hf.languages.sources import cldr_facts, table, translation_codes

SHIPPED = Path(__file__).parent / "data"
ENGLISH = "en"
NORMALIZERS = {
    name.removeprefix("normalize_"): value for name, value in vars(normalize).items() if name.startswith("normalize_")
}
_TEXTS = ("name", "native_name", "tokenizer", "stemmer", "letters", "foreign_letters", "names", "notes")
_LISTS = {"scripts": tuple, "boilerplate": tuple, "advertising": tuple, "siblings": frozenset, "declared_as": frozenset}
_LISTS |= {"domains": frozenset, "identified_as": frozenset}
_KEYS = frozenset({*_TEXTS, *_LISTS, "rtl", "normalizer", "naming", "translation", "prompts"})


@cache
def derived_entry(code: str) -> Language:
    """The entry of a language that CLDR names pictures in, from its shipped file and maintained sources.

    Raises:
        KeyError: CLDR names no pictures in the language, and there is no file.
    """
    path = SHIPPED / f"{code}.toml"
    if path.exists():
        return read_entry(path)
    if code not in table("pictured"):
        raise KeyError(code)
    return make_entry(code, {}, f"the language {code!r}")


def read_entry(path: Path) -> Language:
    """The entry in a TOML file, which is named by the language's code.

    What a user's file does not say comes from the shipped file of that code, if there is one; so does what its table
    `[naming]` does not say.

    Raises:
        MellaError: the file cannot be read, or says something that no stage could use.
    """
    shipped, own = shipped_facts(path.stem), _read_toml(path)
    said = shipped | own
    if isinstance(own.get("naming"), dict):
        said["naming"] = shipped.get("naming", {}) | own["naming"]
    return make_entry(path.stem, said, str(path))


def shipped_facts(code: str) -> dict[str, Any]:
    """What the shipped file of a code says; nothing where there is none."""
    path = SHIPPED / f"{code}.toml"
    return _read_toml(path) if path.exists() else {}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MellaError(f"{path} cannot be read as TOML: {error}. Mend the file; TOML is UTF-8.") from error


def make_entry(code: str, said: dict[str, Any], where: str) -> Language:
    """The entry of a code from what its file says and from maintained sources. `where` names the file in errors."""
    unknown = sorted(said.keys() - _KEYS)
    if unknown:
        raise MellaError(f"{where} has the unknown key {unknown[0]!r}; choose from {', '.join(sorted(_KEYS))}.")
    facts: dict[str, Any] = _derived_facts(code)
    for key in _TEXTS:
        if key in said:
            facts[key] = _checked(said[key], str, key, where)
    for key, kind in _LISTS.items():
        if key in said:
            facts["lid" if key == "identified_as" else key] = kind(_text_list(said[key], key, where))
    if "rtl" in said:
        facts["rtl"] = _checked(said["rtl"], bool, "rtl", where)
    if "normalizer" in said:
        if said["normalizer"] not in NORMALIZERS:
            known = ", ".join(sorted(NORMALIZERS))
            raise MellaError(f"{where} asks for the normalizer {said['normalizer']!r}; choose one of {known}.")
        facts["normalizer"] = NORMALIZERS[said["normalizer"]]
    facts["translation"] = _translation(code, said.get("translation", {}), where)
    facts["naming"] = Naming.read(said.get("naming", {}), where)
    facts |= _prompts(code, said.get("prompts"), where)
    missing = [key for key in ("name", "native_name", "scripts") if key not in facts]
    if missing:
        raise MellaError(f"{where} does not say {missing[0]!r}, and Unicode CLDR does not know it either; add it.")
    try:
        return Language(code=code, **facts)
    except MellaError as error:
        raise MellaError(f"{where}: {error}") from error


def _derived_facts(code: str) -> dict[str, Any]:
    facts: dict[str, Any] = dict(cldr_facts(code))
    if code in table("snowball"):
        facts["stemmer"] = table("snowball")[code]
    if code in table("py3langid"):
        facts["lid"] = frozenset({code})
    if facts.get("scripts", ("Latn",))[0] not in _PLAIN_DIGITS:
        facts["normalizer"] = normalize.normalize_digits
    return facts


_PLAIN_DIGITS = frozenset({"Armn", "Cher", "Cyrl", "Ethi", "Geor", "Grek", "Hang", "Hebr", "Kore", "Latn"})


def _translation(code: str, said: Any, where: str) -> tuple[tuple[str, str], ...]:
    """A file's own codes replace those of the tables, and come after them where they are new; "" takes one away."""
    codes = dict(translation_codes(code)) | _checked(said, dict, "translation", where)
    return tuple((service, _checked(value, str, service, where)) for service, value in codes.items() if value)


def _prompts(code: str, said: Any, where: str) -> dict[str, Any]:
    if said is None:
        english = derived_entry(ENGLISH)
        return {"know_prompts": english.know_prompts, "ling_prompts": english.ling_prompts, "prompts_by": "english"}
    said = _checked(said, dict, "prompts", where)
    turns = {f"{source}_prompts": tuple(_text_list(said.get(source, []), source, where)) for source in ("know", "ling")}
    return turns | {"prompts_by": _checked(said.get("by", "speaker"), str, "by", where)}


def _checked(value: Any, kind: type, key: str, where: str) -> Any:
    if not isinstance(value, kind):
        raise MellaError(f"{where}: {key} is {value!r}; it must be a {_KINDS[kind]}.")
    return value


def _text_list(value: Any, key: str, where: str) -> list[str]:
    return [_checked(text, str, key, where) for text in _checked(value, list, key, where)]


_KINDS = {str: "text", bool: "true or false", list: "list of texts", dict: "table"}
