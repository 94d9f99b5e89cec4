"""Read ARC files, the archives of the web before WARC: version 1 and 2, plain or packed by gzip.

https://archive.org/web/researcher/ArcFileFormat.php. A record is a line, the block, and a line feed:

    http://example.org/ 192.0.2.1 20050101000000 text/html 1234                     version 1
    http://example.org/ 192.0.2.1 20050101000000 text/html 200 - - 0 a.arc 1234     version 2

The first record, `filedesc:`, names the version, which the lines tell by themselves.
"""

import io
import re
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import IO, Any

from mella_hf.know.pages.archived import ArchivedRecord, read_record

_GZIP = b"\x1f\x8b\x08"
_DATE = re.compile(rb"\d{8,14}")
_MAX_LINE = 1 << 14
_MAX_DIGITS = 12  # of a length
_STEP = 1 << 16


def is_arc(head: bytes) -> bool:
    """Whether a file is an ARC file, by its first bytes."""
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(31).decompress(head, 64)
        except zlib.error:
            return False
    return head.startswith(b"filedesc:")


def arc_records(file: IO[bytes], data: mmap, max_bytes: int) -> Iterator[ArchivedRecord | str]:
    """The records of web addresses in an ARC file; a text for each damage that is passed over.

    Args:
        file: open, at its beginning.
        data: the same file, as a map.
    """
    if data[:3] != _GZIP:
        yield from _records(file, max_bytes)
        return
    at = 0
    while at >= 0:
        members = _Members(data, at)
        try:
            yield from _records(io.BufferedReader(members, _STEP), max_bytes)
            return
        except zlib.error as error:
            yield f"after @{members.begin}: {error}"
        at = data.find(_GZIP, members.begin + 1)


def _records(text: Any, max_bytes: int) -> Iterator[ArchivedRecord | str]:
    """The records of an unpacked file. Lines that begin no record are passed over, and said once."""
    at, said = 0, False
    while line := text.readline(_MAX_LINE):
        fields = _fields(line)
        if fields is not None:
            url, content_type, length = fields
            block = _Block(text, length)
            if url.lower().startswith(("http://", "https://")):
                yield read_record(
                    block, length, at=at, url=url, is_http=True, content_type=content_type, max_bytes=max_bytes
                )
            while block.read(_STEP):
                pass
            at += length - block.left
            said = False
        elif line.strip() and not said:
            yield f"after @{at}: {line[:60]!r} begins no record"
            said = True
        at += len(line)


def _fields(line: bytes) -> tuple[str, str | None, int] | None:
    """(address, type, length of the block) of the line before a record; None where it is another line.

    The date is looked for, because addresses and types may hold spaces.
    """
    words = line.rstrip(b"\r\n").split(b" ")
    dates = (number for number in range(2, len(words) - 2) if _DATE.fullmatch(words[number]))
    date = next(dates, None)
    if date is None or not words[-1].isdigit() or len(words[-1]) > _MAX_DIGITS or b":" not in words[0]:
        return None
    content_type = words[date + 1].decode("latin-1").rstrip(";")
    url = b" ".join(words[: date - 1]).decode("utf-8", "replace")
    return url, None if content_type in ("-", "no-type") else content_type, int(words[-1])


class _Block:
    """The next bytes of a stream, and no more."""

    def __init__(self, text: Any, length: int):
        self._text, self.left = text, length

    def read(self, size: int) -> bytes:
        piece: bytes = self._text.read(min(size, self.left))
        self.left -= len(piece)
        return piece


class _Members(io.RawIOBase):
    """The text of gzip members one behind the other, from a place on. It ends where the file does, also within one.

    Attributes:
        begin: where the member that is being read begins.
    """

    def __init__(self, data: mmap, begin: int):
        self._data, self._at, self.begin = data, begin, begin
        self._inflater = zlib.decompressobj(31)
        self._waiting = b""  # not yet inflated

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            at_end = not self._waiting and self._at >= len(self._data)
            if not self._waiting:
                self._waiting = self._data[self._at : self._at + _STEP]
                self._at += len(self._waiting)
            if self._inflater.eof:
                self._waiting = self._waiting.lstrip(b"\0\r\n")  # padding between members
                if self._waiting:
                    self.begin = self._at - len(self._waiting)
                    self._inflater = zlib.decompressobj(31)
            piece = b"" if self._inflater.eof else self._inflater.decompress(self._waiting, len(buffer))
            self._waiting = self._inflater.unused_data or self._inflater.unconsumed_tail
            if piece or at_end:
                buffer[: len(piece)] = piece
                return len(piece)
