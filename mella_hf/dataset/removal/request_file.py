"""Lists of ids or URLs to take away, in the files that people send: text or CSV, in any of the usual encodings."""

import codecs
import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.text.addresses import host_of

# Also as the name of an image file, in a folder or not.
_ID = re.compile(r"(?:sha256[:=]|[^:\s]{0,200}/)?([0-9a-f]{64})(?:\.[a-z]{3,4})?", re.IGNORECASE)
_ASKS = re.compile(r"[0-9a-f]{64}|://", re.IGNORECASE)  # a line with one of these is not a header
_MARKS = "\t;,"
_PARTED = re.compile(r"\s|[,;](?:[\"']|https?://|[0-9a-f]{64}\b)", re.IGNORECASE)
_BULLET = re.compile(r"[-*•]\s+")  # of a list in Markdown or in a mail
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)  # the first line of a CSV file for Excel
_BOMS = (  # UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass
class RequestFile:
    """What a file asks to take away.

    Attributes:
        ids: sample ids, in lower case.
        urls: addresses of pages or images, from the lines that name no id.
        header: the first line, when it names columns and nothing to take away.
    """

    ids: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    header: str | None = None


def read_request_file(path: Path) -> RequestFile:
    """Read ids or URLs, one a line, in the columns of a CSV file or in JSON; an id goes before the URLs of its line.

    Raises:
        MellaError: when the file cannot be read, or a line but the first holds neither an id nor a URL.
    """
    if not path.is_file():
        raise MellaError(
            f"--ids {str(path)!r} is not a file; give a text, CSV or JSON file with one sample id or URL a line."
        )
    text = decode(path.read_bytes(), path)
    found = RequestFile()
    rows = _json_rows(text)
    if rows is None:
        _read_lines(text.splitlines(), found, path)
    for row in rows or ():
        _take(row, found, f"{path}: {str(row)[:80]}")
    if not found.ids and not found.urls:
        raise MellaError(f"{path} names nothing: no line holds a sample id (64 hex digits) or a URL.")
    return found


def _read_lines(lines: Sequence[str], found: RequestFile, path: Path) -> None:
    mark = None
    for number, line in enumerate(lines, 1):
        separator = _SEPARATOR.fullmatch(line.strip("\ufeff \t")) if number == 1 else None
        if separator:
            mark = separator[1]
            continue
        cells = [cell for cell in cells_of(line, mark) if cell]
        if not cells or cells[0].startswith("#"):
            continue
        is_first = found.header is None and not found.ids and not found.urls
        if is_first and not _names_something(cells) and not _ASKS.search(line):
            found.header = line.strip()
            mark = mark or next((one for one in _MARKS if one in line), None)
        else:
            _take(cells, found, f"{path}, line {number}: {line.strip()[:80]!r}")


def _ids(cells: Iterable[str]) -> list[str]:
    return [match[1].lower() for match in map(_ID.fullmatch, cells) if match]


def _names_something(cells: Iterable[str]) -> bool:
    return bool(_ids(cells)) or any(map(host_of, cells))


def _take(cells: Sequence[str], found: RequestFile, where: str) -> None:
    """Note the ids of a line, or else its URLs. Raises MellaError when it has neither."""
    ids = _ids(cells)
    urls = [cell for cell in cells if host_of(cell)]
    if ids:
        found.ids += ids
    elif urls:
        found.urls += urls
    else:
        raise MellaError(f"{where} holds neither a sample id (64 hex digits) nor a URL; mend or delete that line.")


def _json_rows(text: str) -> list[list[str]] | None:
    """The texts of each element of a JSON list, or of each line of JSON lines; None for what is no JSON."""
    text = text.strip("\ufeff \t\r\n")
    if not text.startswith(("[", "{")):
        return None
    try:
        return _rows_of(json.loads(text))
    except (ValueError, RecursionError):
        pass
    try:
        return [row for line in text.split("\n") if line.strip() for row in _rows_of(json.loads(line))]
    except (ValueError, RecursionError):
        return None


def _rows_of(value: Any) -> list[list[str]]:
    """A value of JSON as rows: an object that names an id or a URL is one, as is each text of a list."""
    if isinstance(value, str):
        return [[value]]
    if isinstance(value, dict):
        texts = [one for one in value.values() if isinstance(one, str)]
        if _names_something(texts):
            return [texts]
        value = list(value.values())
    return [row for one in value for row in _rows_of(one)] if isinstance(value, list) else []


def decode(data: bytes, path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16, with or without a byte order mark, or in a legacy encoding of Windows."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data, encoding, path)
    if b"\0" in data[:2]:
        return _decoded(data, "utf-16-be" if data[0] == 0 else "utf-16-le", path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:  # ids and URLs are ASCII; only what stands beside them is then misread
        return data.decode("cp1252", "replace")


def _decoded(data: bytes, encoding: str, path: Path) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise MellaError(f"{path} begins as {encoding} and is not: {error}. Save it as UTF-8.") from error


def cells_of(line: str, mark: str | None = None) -> list[str]:
    """The cells of a line, unquoted.

    Args:
        mark: what parts the cells of this file; without one, the line's own tabs, semicolons or commas do, except
            where the line looks like one URL, in which commas and semicolons may stand.
    """
    line = _BULLET.sub("", line.strip().strip("\ufeff\0"), count=1)
    before, _, _ = line.partition(" #")  # a note; no address has a space
    if not any(mark in before for mark in _MARKS + "\"'"):  # in a quoted cell it may be anything
        line = before.strip()
    if mark is None and (host_of(line) is None or _PARTED.search(line)):
        mark = next((one for one in _MARKS if one in line), None)
    if mark is None:
        words = line.split()
        return words if len(words) > 1 and any(map(_ID.fullmatch, words)) else [line.rstrip(",;").strip("\"' <>")]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error as error:
        raise MellaError(
            f"{line[:80]!r} is not a line of CSV: {error}. Mend that line, or give a text file with one id a line."
        ) from error
