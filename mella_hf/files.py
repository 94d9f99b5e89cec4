"""Write files atomically, tell names that are unsafe elsewhere, and find cached and packaged files."""

import codecs
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError

ASIDE = ".tmp"  # suffix of unfinished files; their names begin with a dot
# What Windows does not take ("Naming Files, Paths, and Namespaces", Microsoft): devices, with any suffix; characters.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³]) *(?:\..*)?", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f]')
_CHECKOUT = Path(__file__).resolve().parent.parent


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a file aside and rename it, so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE}")
    payload = data.encode("utf-8") if isinstance(data, str) else data
    try:
        with open(aside, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # of a full disk, which says no name
        error.filename = error.filename or str(path)
        raise
    os.replace(aside, path)


def link_file(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link, or a copy on a file system without links."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}{ASIDE}")
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:
        shutil.copyfile(source, aside)
    os.replace(aside, target)


def name_problems(paths: Iterable[str]) -> list[str]:
    """What is wrong with the names of files that people will copy to Windows and macOS, in words; none: all are safe.

    Args:
        paths: relative paths, with `/` between the names.
    """
    problems: dict[str, None] = {}  # each once, in order
    spelled: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        problems |= dict.fromkeys(filter(None, map(_name_fault, parts)))
        for count in range(1, len(parts) + 1):
            place = "/".join(parts[:count])
            first = spelled.setdefault(same_name(place), place)
            if first != place:
                problems[f"{first!r} and {place!r} are one file on Windows and macOS; rename one"] = None
                break  # what lies in them differs for the same reason
    return list(problems)


def same_name(path: str) -> str:
    """A text that is equal for paths that Windows or macOS take for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _name_fault(name: str) -> str:
    """What is wrong with one name, or ""."""
    if not name or name in (".", ".."):
        return f"{name!r} names no file; take another name"
    if _DEVICE.fullmatch(name):
        other = f"{name.partition('.')[0]}_Latn"
        return f"{name!r} is a device on Windows, where no file can have this name; take another, such as {other!r}"
    found = _FORBIDDEN.search(name)
    if found:
        return f"{name!r} has {found[0]!r}, which no file name on Windows has; take another name"
    if name[-1] in ". ":
        return f"{name!r} ends in {name[-1]!r}, which Windows leaves out; take another name"
    return ""


def sweep(folder: Path) -> None:
    """Remove unfinished files that a killed run left in a folder."""
    for path in folder.glob(f".*{ASIDE}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def json_line(value: Any) -> str:
    """A value as one line of a JSON-lines file, with its line feed.

    Text stays readable. A text with half of a surrogate pair, which UTF-8 cannot encode, is written with escapes.
    """
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        line = json.dumps(value)
    return f"{line}\n"


def json_lines(path: Path | str) -> Iterator[tuple[int, Any]]:
    """Read a JSON-lines file: (line number, value) of each line that is not blank.

    Only a line feed ends a line. `str.splitlines` also splits at U+2028, U+0085 and others, which may stand inside a
    JSON text.

    Raises:
        MellaError: if the file cannot be read, or a line is not UTF-8 or not JSON; the message names the line.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.strip():
                    yield number, _json(text, path, number)
    except OSError as error:
        raise MellaError(f"{path} cannot be read: {error.strerror or error}.") from error


def _json(line: bytes, path: Path | str, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or a number with too many digits
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise MellaError(f"{path}, line {number} is not JSON: {said}. Each line must be one JSON value.") from error


def resource_folder(folder: str) -> Path:
    """The folder `recipes/` or `model_cards/`: packaged inside `mella_hf`, or at the top of a checkout."""
    packaged = Path(str(files("mella_hf"))) / folder
    return packaged if packaged.is_dir() else _CHECKOUT / folder


def resource_path(folder: str, name: str) -> Path:
    """A file of `recipes/` or `model_cards/`. Raises MellaError if the installation lacks it."""
    path = resource_folder(folder) / name
    if not path.is_file():
        raise MellaError(f"{folder}/{name} is not part of this installation; install mella_hf again from a wheel.")
    return path


def recipe_path(name: str) -> Path:
    """A recipe or its script, such as "demo/joint.yaml"."""
    return resource_path("recipes", name)


def template_path(name: str) -> Path:
    """A card template, such as "adapter_card.md.j2"."""
    return resource_path("model_cards", name)


def check_place(name: str, path: Path, *, folder: bool = False) -> None:
    """Refuse a place where nothing can be written, before long work whose result goes there. Leaves nothing behind.

    Args:
        name: as users know it, such as "--out".
        path: a file or a folder, which need not be there yet.
        folder: whether it is to be a folder.

    Raises:
        MellaError: when it is a folder instead of a file or the other way round, or lies below a file.
        OSError: when the folder may not be written; names `path`.
    """
    path = path.absolute()
    if path.exists() and path.is_dir() != folder:
        is_, give = ("file", "folder") if folder else ("folder", "file")
        raise MellaError(f"{name} {str(path)!r} is a {is_}; give the path of a {give}.")
    nearest = next(one for one in (path, *path.parents) if one.exists() and (folder or one != path))
    if not nearest.is_dir():
        raise MellaError(f"{name} {str(path)!r} lies below {str(nearest)!r}, which is a file; give another path.")
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
