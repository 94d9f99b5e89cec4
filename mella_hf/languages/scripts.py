"""Scripts by their ISO 15924 codes: which Unicode letters they have, and whether they put spaces between words."""

from functools import lru_cache
from typing import Any

from mella_hf.errors import MellaError

# Codes of ISO 15924 that stand for several scripts of Unicode, or for a style of one (Unicode Standard Annex 24).
_COMPOSITE = {
    "Aran": ("Arab",),
    "Cyrs": ("Cyrl",),
    "Geok": ("Geor",),
    "Hanb": ("Hani", "Bopo"),
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Hrkt": ("Hira", "Kana"),
    "Jpan": ("Hira", "Kana", "Hani"),
    "Kore": ("Hang", "Hani"),
    "Latf": ("Latn",),
    "Latg": ("Latn",),
    "Syre": ("Syrc",),
    "Syrj": ("Syrc",),
    "Syrn": ("Syrc",),
}
_CHINESE = frozenset({"Bopo", "Hanb", "Hani", "Hans", "Hant", "Hira", "Hrkt", "Jpan", "Kana"})
# No spaces between words (Unicode Line Breaking Algorithm, class SA, and what W3C's language enablement says of Bali,
# Java and Tibt).
_UNSPACED = _CHINESE | {"Bali", "Java", "Khmr", "Lana", "Laoo", "Mymr", "Talu", "Tavt", "Thai", "Tibt"}
# Whose words ICU's dictionaries hold, by script; other languages in these scripts have other words.
_ICU_LANGUAGES = {"Khmr": {"km"}, "Laoo": {"lo"}, "Mymr": {"my"}, "Thai": {"th"}} | dict.fromkeys(
    _CHINESE, {"cmn", "ja", "lzh", "wuu", "yue", "zh"}
)
RTL = frozenset({"Adlm", "Arab", "Aran", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"})


def unicode_scripts(code: str) -> tuple[str, ...]:
    """The scripts of Unicode that a code of ISO 15924 means: Jpan is Hiragana, Katakana and Han.

    Raises:
        MellaError: Unicode has no letters for the code.
    """
    scripts = _COMPOSITE.get(code, (code,))
    try:
        script_pattern(scripts)
    except ValueError as error:
        raise MellaError(
            f"Unknown script {code!r}; give a code of ISO 15924, such as Latn, Cyrl, Arab, Deva, Geor or Jpan."
        ) from error
    return scripts


@lru_cache(maxsize=256)
def script_pattern(scripts: tuple[str, ...]) -> Any:
    """A pattern of runs of letters in one of the Unicode scripts; ValueError for an unknown script."""
    import regex

    if not all(len(script) == 4 and script.isascii() and script.isalpha() and script.istitle() for script in scripts):
        raise ValueError(f"not a script code: {scripts}")
    kinds = "".join(rf"\p{{Script={script}}}" for script in scripts)
    if not {"Hira", "Kana"}.isdisjoint(scripts):
        kinds += "ー"  # the long vowel mark belongs to both, so that Unicode gives it to neither
    try:
        # Letters only, as str.isalpha counts them: marks belong to scripts too.
        return regex.compile(f"[[{kinds}]&&\\p{{L}}]+", regex.V1)
    except regex.error as error:
        raise ValueError(str(error)) from error


@lru_cache(maxsize=256)
def letters_of(scripts: tuple[str, ...]) -> Any:
    """The pattern of runs of letters in one of the scripts, which are codes of ISO 15924."""
    return script_pattern(tuple(one for script in scripts for one in unicode_scripts(script)))


def is_unspaced(script: str) -> bool:
    """Whether the script is written without spaces between words."""
    return script in _UNSPACED


def icu_has_words(script: str, code: str) -> bool:
    """Whether ICU's dictionaries hold the words of a language in a script without spaces."""
    return code.partition("_")[0] in _ICU_LANGUAGES.get(script, ())
