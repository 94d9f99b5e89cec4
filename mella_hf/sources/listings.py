"""Listings in JSON lines, in every spelling that people use, in pieces that workers read by themselves.

`.jsonl`, `.ndjson` and `.jsonlines` in upper or lower case are read in place. Those that are compressed (`.gz`, `.bz2`,
`.xz`, `.zst`) are unpacked once into the build's own folder.
"""

import bz2
import gzip
import json
import lzma
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from mella_hf.errors import MellaError
from mella_hf.places import Place, open_binary, place_of, state_of
from mella_hf.stage import Shard, ShardOutput, run_stage

UNIT_BYTES = 1 << 20  # of JSON lines: about 2,000 rows
PLAIN = "listing.jsonl"
_LINES = r"\.(?:jsonl|ndjson|jsonlines)"
_PACKED = r"(?:\.(?:gz|bz2|xz|zst))?"


def find_listings(folder: Path | Place, stem: str) -> list[Path | Place]:
    """The listings of a folder whose names, up to the suffix, match a pattern, in any case, in order.

    Args:
        stem: a regular expression.

    Raises:
        MellaError: one is not a file, or its name or form cannot be read: it would be left out silently.
    """
    if not folder.is_dir():
        return []
    name = re.compile(rf"(?:{stem}){_LINES}{_PACKED}", re.IGNORECASE)
    alike = re.compile(rf"(?:{stem})\.(?:json|csv|tsv|parquet|arrow|txt|zip|tar|jsonl?.*|ndjson.*)", re.IGNORECASE)
    found: list[Path | Place] = []
    entries: list[Path | Place] = sorted(folder.iterdir())
    for path in entries:
        if name.fullmatch(path.name):
            found.append(require_file(path))
        elif alike.fullmatch(path.name) and not path.name.endswith("~"):
            raise MellaError(
                f"{str(path)!r} looks like a listing, and cannot be read: listings are JSON lines (.jsonl, .ndjson), "
                "plain or packed by gzip, bzip2, xz or zstd. Convert it, or remove it; "
                "--source hf reads a metadata.csv, too."
            )
    return found


def below(path: Path | Place, root: Path | Place) -> str:
    """The path of a file below the root."""
    return path.relative_to(root).as_posix()  # type: ignore[arg-type]


def flat_name(path: Path | Place, root: Path | Place) -> str:
    """The name of a listing for a unit: its place under the root, without slashes."""
    return below(path, root).replace("/", "--")


def require_file(path: Path | Place) -> Path | Place:
    """A path that is a regular file with a name in UTF-8. Raises MellaError."""
    if isinstance(path, Place):
        if not path.is_file():
            raise MellaError(f"{str(path)!r} is not a file; put the listing there, or remove it.")
        return path
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise MellaError(f"The name of {ascii(str(path))} is not UTF-8; rename it.") from error
    if not path.is_file():
        kind = "a link to nothing" if path.is_symlink() and not path.exists() else "not a file"
        raise MellaError(f"{str(path)!r} is {kind}; put the listing there, or remove it.")
    if not os.access(path, os.R_OK):
        raise MellaError(f"{str(path)!r} may not be read; change its permissions.")
    return path


def byte_ranges(path: Path | Place, root: Path | Place, work: Path) -> list[dict[str, Any]]:
    """A listing in pieces of about `UNIT_BYTES`, each with what tells that the file changed.

    Args:
        root: what the listing is named relative to.
        work: where it is unpacked to.
    """
    size, modified = state_of(path)
    common = {"file": below(path, root), "size": size, "mtime": modified}
    plain = unpacked(path, work)
    if plain != path:
        common["plain"] = str(plain)
        size = state_of(plain)[0]
    starts = range(0, max(size, 1), UNIT_BYTES)
    return [{**common, "start": start, "end": min(start + UNIT_BYTES, size)} for start in starts]


def unpacked(path: Path | Place, work: Path) -> Path | Place:
    """A file, or what it is unpacked to once. Raises MellaError when it is damaged."""
    if path.suffix.lower() not in _OPENERS:
        return path
    size, modified = state_of(path)
    payload = {"file": str(path), "size": size, "mtime": modified}
    shard = Shard(f"unpacked-{path.name}-{crc32(str(path).encode()):08x}", payload)
    return run_stage("unpack", _unpack, [shard], work, workers=0, progress=False).outputs[0] / PLAIN


def lines_of(payload: dict[str, Any], root: Path | Place) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of the lines that begin in a byte range."""
    path = Path(payload["plain"]) if "plain" in payload else root / payload["file"]
    yield from lines_between(path, payload["start"], payload["end"])


def lines_between(path: Path | Place, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of the lines that begin in [start, end). A byte order mark at the beginning is left out."""
    with open_binary(path) as file:
        if start:
            file.seek(start - 1)
            file.readline()  # the rest of a line that began before, or just its line break
        offset = file.tell()
        while offset < end and (line := file.readline()):
            if not line.isspace():
                yield offset, line if offset else line.removeprefix(b"\xef\xbb\xbf")
            offset += len(line)


def parse_line(line: bytes) -> Any:
    """The value of a line, or None when it is not JSON in UTF-8."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # ValueError: bad JSON, and bytes that are not UTF-8
        return None


def _unpack(shard: Shard, output: ShardOutput) -> None:
    path = place_of(shard.payload["file"]) or Path(shard.payload["file"])
    try:
        with (
            open_binary(path) as file,
            _OPENERS[path.suffix.lower()](file) as packed,
            open(output.folder / PLAIN, "wb") as plain,
        ):
            shutil.copyfileobj(packed, plain, 1 << 20)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise MellaError(f"{str(path)!r} does not unpack ({error}); fetch it again.") from error


def _open_zst(file: BinaryIO) -> Any:
    import pyarrow as pa

    return pa.input_stream(file, compression="zstd")


_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _open_zst,
}
