"""Lists of ids or URLs to take away, in the files that people send: text or CSV, in any of the usual encodings."""

import codecs
import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.text.addresses import host_of

_ID = re.compile(r"(?:sha256[:=])?([0-9a-f]{64})(?:\.[a-z]{3,4})?", re.IGNORECASE)  # also as the name of an image file
_MARKS = "\t;,"
_PARTED = re.compile(r"\s|[,;](?:[\"']|https?://|[0-9a-f]{64}\b)", re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


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
    """Read ids or URLs, one a line, or in the columns of a CSV file; an id goes before the URLs of its line.

    Raises:
        MellaError: when the file cannot be read, or a line but the first holds neither an id nor a URL.
    """
    if not path.is_file():
        raise MellaError(
            f"--ids {str(path)!r} is not a file; give a text or CSV file with one sample id or URL a line."
        )
    text = decode(path.read_bytes(), path)
    found, mark = RequestFile(), None
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell for cell in cells_of(line, mark) if cell]
        if not cells or cells[0].startswith("#"):
            continue
        ids = [match[1].lower() for match in map(_ID.fullmatch, cells) if match]
        urls = [cell for cell in cells if host_of(cell)]
        if ids:
            found.ids += ids
        elif urls:
            found.urls += urls
        elif found.header is None and not found.ids and not found.urls:
            found.header = line.strip()
            mark = next((one for one in _MARKS if one in line), None)
        else:
            raise MellaError(
                f"{path}, line {number}: {line.strip()[:80]!r} holds neither a sample id (64 hex digits) nor a URL."
            )
    if not found.ids and not found.urls:
        raise MellaError(f"{path} names nothing: no line holds a sample id (64 hex digits) or a URL.")
    return found


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
    line = line.strip().strip("\ufeff\0")
    if mark is None and (host_of(line) is None or _PARTED.search(line)):
        mark = next((one for one in _MARKS if one in line), None)
    if mark is None:
        return [line.strip("\"' ")]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error as error:
        raise MellaError(f"{line[:80]!r} is no line of CSV: {error}.") from error
