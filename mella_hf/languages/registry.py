"""Find the entry of a language code: registered in this process, in your folders, in installed packages, or ours.

Languages of users' own go with the work: `register` also writes them into the environment, which every process that
is started from here inherits, and `travelling` says them in a text that `adopt` takes on another machine.
"""

import difflib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError, UnknownLanguageError
from mella_hf.languages.entries import ENGLISH, SHIPPED, derived_entry, read_entry
from mella_hf.languages.language import Language
from mella_hf.languages.naming import Naming
from mella_hf.languages.sources import table

FOLDERS = "MELLA_LANGUAGES"  # environment: folders of TOML files, separated as in PATH
ENTRY_POINTS = "mella_hf.languages"  # group: a Language, several, or a folder of TOML files
IDENTIFIER = "MELLA_LID"  # environment: the language identifier (mella_hf.text.identifiers)
_INHERITED = "MELLA_REGISTERED_LANGUAGES"  # environment: what `register` was given, as JSON

_registered: dict[str, Language] = {}
_registrations = 0  # how often that changed
_from_packages: dict[str, Language | MellaError] | None = None  # None until it was asked for
_adopted: dict[str, Any] = {"text": "", "entries": {}}  # of another process; entries as JSON objects


def get_language(code: str) -> Language:
    """The entry of a code. Raises UnknownLanguageError, naming the nearest codes."""
    if code in _registered:
        return _registered[code]
    for found in (_inherited().get(code), _adopted["entries"].get(code), user_entries().get(code)):
        if isinstance(found, MellaError):
            raise found
        if found is not None:
            return found if isinstance(found, Language) else _thaw(code, json.dumps(found, sort_keys=True))
    try:
        return derived_entry(code)
    except KeyError:
        raise UnknownLanguageError(_unknown(code)) from None


def _unknown(code: str) -> str:
    near = ", ".join(difflib.get_close_matches(str(code), all_codes(), n=3, cutoff=0.6))
    return (
        f"Unknown language {code!r}; choose one of {', '.join(language_codes())}, or one of the "
        f"{len(all_codes())} that `mella languages` lists{f' (near: {near})' if near else ''}. "
        f"`mella languages new {code}` starts an entry for a new one."
    )


def language_codes() -> list[str]:
    """The codes whose prompts were written by speakers, and those of users' own entries, in alphabetical order."""
    return sorted({*_written(), *_own_codes()} - {ENGLISH})


def all_codes() -> list[str]:
    """Every code that `get_language` knows, English among them, in alphabetical order."""
    return sorted({*table("pictured"), *(path.stem for path in SHIPPED.glob("*.toml")), *_own_codes()})


def known_languages() -> list[Language]:
    """The entries of all codes; an entry of a user's that no stage could use is left out."""
    return [get_language(code) for code in all_codes() if _is_sound(code)]


def languages_state() -> tuple[object, ...]:
    """Something that changes whenever the known languages do: the key of what is worked out from all of them."""
    return (_registrations, os.environ.get(FOLDERS, ""), os.environ.get(_INHERITED, ""), _adopted["text"])


@lru_cache(maxsize=1)
def _written() -> frozenset[str]:
    files = [path.stem for path in SHIPPED.glob("*.toml")]
    return frozenset(code for code in files if derived_entry(code).prompts_by == "speaker")


def _own_codes() -> set[str]:
    return {*_registered, *_inherited(), *_adopted["entries"], *user_entries()}


def register(language: Language) -> Language:
    """Add a language, so that every stage knows it, here and in the processes started from here.

    Registering the same entry again changes nothing. An entry with machine-made or English prompts is replaced.

    Raises:
        MellaError: another entry has the code, or one of its labels belongs to a language with an entry.
    """
    code = language.code
    if _frozen(code) == _freeze(language):
        return _registered.setdefault(code, language)
    if code in language_codes() or code == ENGLISH:
        raise MellaError(f"The language code {code!r} is registered already, with another entry; choose another code.")
    check_labels(language)
    _registered[code] = language
    _publish()
    return language


def _frozen(code: str) -> dict[str, Any] | None:
    """The entry of a language as `_freeze` would write it, without importing anything; None if there is none."""
    for entries in (_inherited(), _adopted["entries"]):
        if code not in _registered and code in entries:
            return dict(entries[code])
    return _freeze(get_language(code)) if code in all_codes() and _is_sound(code) else None


def unregister(code: str) -> None:
    """Take back what `register` added. Raises UnknownLanguageError where it added no such language."""
    if _registered.pop(code, None) is None:
        raise UnknownLanguageError(f"{code!r} was not registered in this process; there is nothing to take back.")
    _publish()


def check_labels(language: Language) -> None:
    """Raise MellaError where a label of an entry is the one by which another language is known."""
    for other in sorted({*language_codes(), ENGLISH} - {language.code}):
        if other in language.lid:
            raise MellaError(
                f"The entry of language {language.code!r} takes the label {other!r} for its own, which is that of "
                f"{get_language(other).name}: every {get_language(other).name} text would pass for it. Leave it out."
            )


# --- The user's folders and installed packages


def user_entries() -> dict[str, Language | MellaError]:
    """Code -> entry, or what is wrong with it, of the folders that MELLA_LANGUAGES names and of installed packages."""
    return {**_package_entries(), **_folder_entries(os.environ.get(FOLDERS, ""))}


@lru_cache(maxsize=4)
def _folder_entries(folders: str) -> dict[str, Language | MellaError]:
    found: dict[str, Language | MellaError] = {}
    for folder in filter(None, folders.split(os.pathsep)):
        found |= read_folder(Path(folder))
    return found


def add_folder(folder: Path) -> None:
    """Know the languages of a folder of TOML files, here and in the processes started from here.

    Files are read once a process; call it again after a change.

    Raises:
        MellaError: it is not a folder, has no TOML file, or has one that cannot be used.
    """
    entries = read_folder(folder)
    if not entries:
        raise MellaError(f"{str(folder)!r} has no TOML file of a language; `mella languages new XX` writes one.")
    for entry in entries.values():
        if isinstance(entry, MellaError):
            raise entry
    known = [place for place in os.environ.get(FOLDERS, "").split(os.pathsep) if place]
    os.environ[FOLDERS] = os.pathsep.join(dict.fromkeys([*known, str(folder.resolve())]))
    _folder_entries.cache_clear()
    _publish()


def read_folder(folder: Path) -> dict[str, Language | MellaError]:
    """Code -> entry, or what is wrong with it, of a folder of TOML files. Raises MellaError if it is not a folder."""
    if not folder.is_dir():
        raise MellaError(f"{str(folder)!r} is not a folder of language files; check {FOLDERS} or --languages-from.")
    entries: dict[str, Language | MellaError] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            if path.stem in _written():
                raise MellaError(f"{path}: {path.stem!r} has an entry that speakers wrote; choose another code.")
            entries[path.stem] = read_entry(path)
        except MellaError as error:
            entries[path.stem] = error
    return entries


def _package_entries() -> dict[str, Language | MellaError]:
    """The entries of installed packages, loaded once.

    A package's module may call `get_language` while it is imported here. It then sees the other languages only.
    """
    global _from_packages
    if _from_packages is None:
        _from_packages = {}
        _from_packages = _load_packages()
    return _from_packages


def _load_packages() -> dict[str, Language | MellaError]:
    entries: dict[str, Language | MellaError] = {}
    owners: dict[str, str] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value)):
        package = f"The package {point.dist.name!r}" if point.dist else f"{point.value!r}"
        try:
            found = _entries_of(point.load(), package)
        except Exception as error:  # another package's code may raise anything, and must not stop all languages
            warnings.warn(
                f"{package} offers languages that cannot be loaded ({type(error).__name__}: {error}).", stacklevel=2
            )
            continue
        for code, entry in found.items():
            if owners.setdefault(code, package) != package:
                entry = MellaError(
                    f"{owners[code]} has an entry of language {code!r}, and {package[0].lower()}{package[1:]} too; "
                    "uninstall one of them."
                )
            entries[code] = entry
    return entries


def _entries_of(given: Any, package: str) -> dict[str, Language | MellaError]:
    """The entries that an entry point gives: a folder of TOML files, a `Language`, or several."""
    if isinstance(given, (str, Path)):
        return read_folder(Path(given))
    entries: dict[str, Language | MellaError] = {}
    for one in [given] if isinstance(given, Language) else given:
        if not isinstance(one, Language):
            raise MellaError(f"{one!r} is not a Language; give a Language, several, or a folder of TOML files.")
        written = one.code in _written()
        problem = f"{package}: {one.code!r} has an entry that speakers wrote; choose another code."
        entries[one.code] = MellaError(problem) if written else one
    return entries


# --- Travelling to other processes


def _freeze(language: Language) -> dict[str, Any]:
    """An entry as JSON can hold it; the normaliser by where it can be imported from."""
    normalizer = language.normalizer
    module = "__main__" if normalizer.__module__ == "__mp_main__" else normalizer.__module__
    said = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(language).items()}
    said["naming"] = language.naming.said()
    said["normalizer"] = f"{module}:{normalizer.__qualname__}"
    return json.loads(json.dumps(said))  # type: ignore[no-any-return]


def own_entries(codes: Iterable[str]) -> dict[str, str]:
    """What users' own files say of these languages, hashed; empty where none has one.

    For the settings of a stage: when a user changes a language's file, what was worked out with it is done again.
    """
    own = {code: _freeze(get_language(code)) for code in sorted(set(codes) & _own_codes()) if _is_sound(code)}
    said = json.dumps(own, sort_keys=True)
    return {"own_languages": hashlib.sha256(said.encode()).hexdigest()[:16]} if own else {}


class _Normalizer:
    """A normaliser by where it can be imported from; one of a script that is still being imported is found later."""

    def __init__(self, reference: str):
        self.__module__, _, self.__qualname__ = reference.partition(":")
        self.__name__ = self.__qualname__

    def found(self) -> Callable[[str], str]:
        """The function itself where it is there already."""
        return self if self.__module__ == "__main__" else self._function()

    def __call__(self, text: str) -> str:
        return self._function()(text)

    def _function(self) -> Callable[[str], str]:
        try:
            return getattr(import_module(self.__module__), self.__qualname__)  # type: ignore[no-any-return]
        except (ImportError, AttributeError) as error:
            raise MellaError(
                f"The normaliser {self.__qualname__!r} of {self.__module__!r} cannot be found in this process; "
                "define it in a module that can be imported."
            ) from error


@lru_cache(maxsize=256)
def _thaw(code: str, text: str) -> Language:
    said = json.loads(text)
    said["normalizer"] = _Normalizer(said["normalizer"]).found()
    for key in ("lid", "siblings", "declared_as", "domains"):
        said[key] = frozenset(said[key])
    for key in ("scripts", "know_prompts", "ling_prompts", "boilerplate", "advertising"):
        said[key] = tuple(said[key])
    said["naming"] = Naming.read(said["naming"], f"the entry of {code!r}")
    said["translation"] = tuple((service, value) for service, value in said["translation"])
    return Language(**said)


def _publish() -> None:
    """Write what is registered into the environment, for processes started from here."""
    global _registrations
    _registrations += 1
    if _registered or _INHERITED in os.environ:
        os.environ[_INHERITED] = json.dumps({code: _freeze(entry) for code, entry in _registered.items()})


def _inherited() -> dict[str, Any]:
    return _parsed(os.environ.get(_INHERITED, ""))


@lru_cache(maxsize=4)
def _parsed(text: str) -> dict[str, Any]:
    return dict(json.loads(text)) if text else {}


def travelling() -> str:
    """The languages that this process knows beyond the shipped ones, and its identifier, as a text for `adopt`."""
    own = {code: _freeze(get_language(code)) for code in sorted(_own_codes()) if _is_sound(code)}
    said = {"languages": own, "identifier": os.environ.get(IDENTIFIER, "")}
    return json.dumps(said) if any(said.values()) else ""


def _is_sound(code: str) -> bool:
    return not isinstance(user_entries().get(code), MellaError) or code in _registered


def adopt(text: str) -> None:
    """Know the languages that another process knows, instead of those adopted before, and use its identifier."""
    if text == _adopted["text"]:
        return
    said = _parsed(text)
    _adopted.update(text=text, entries=said.get("languages", {}))
    if said.get("identifier"):
        os.environ[IDENTIFIER] = said["identifier"]
