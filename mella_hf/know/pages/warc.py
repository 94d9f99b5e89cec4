"""Read HTML pages from WARC files (plain, gzip or zstd; Common Crawl's or your own).

Damaged records are skipped and counted: reading continues at the next member, and a last record that is cut off is
counted. Bodies are decoded here, because a reader that decodes them itself stops without an error at the first chunked
gzip body.
"""

import io
import mmap
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from mella_hf.errors import MellaError

MAX_PAGE_BYTES = 16 << 20  # decoded; Common Crawl cuts pages at 1 MiB (5 MiB since 2025)
_MAGIC = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"WARC/1.")  # a gzip member, a zstd frame, a plain record
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_READ = ("transfer-encoding", "content-encoding", "content-language", "tdm-reservation")
HTML_TYPES = ("text/html", "application/xhtml+xml")
_LOOKS_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)


class Page(NamedTuple):
    """A page as it was served.

    Attributes:
        url: absolute.
        body: bytes of the page, without Content-Encoding.
        content_type, content_language: headers as sent.
        robots: values of X-Robots-Tag, and "tdm-reservation" where that header is 1.
    """

    url: str
    body: bytes
    content_type: str | None = None
    content_language: str | None = None
    robots: tuple[str, ...] = ()


class LostPage(NamedTuple):
    """A record that is no page, with the reason that is counted."""

    where: str
    reason: str


class UnreadableBody(Exception):
    """A body that cannot be decoded; its argument is the reason."""


def read_warc(path: Path | str, *, max_bytes: int = MAX_PAGE_BYTES) -> Iterator[Page | LostPage]:
    """The pages of a WARC file in order, and what was no page.

    Args:
        max_bytes: the largest page, decoded.

    Raises:
        MellaError: the file is absent, or holds no WARC record, or only texts without HTML (a WET file).
    """
    path = Path(path)
    records = texts = 0
    for record in _records(path):
        if isinstance(record, LostPage):
            yield record
            continue
        records += 1
        texts += record.conversion
        yield _page(record, path.name, max_bytes)
    if not records:
        raise MellaError(f"{path} holds no WARC record of a page; give .warc, .warc.gz or .warc.zst files.")
    if texts == records:
        raise MellaError(f"{path} holds texts without HTML (a WET file), so no images; give the WARC files themselves.")


class _Record(NamedTuple):
    """A WARC record, read: fastwarc's own is gone when the next one comes."""

    at: int
    url: str
    conversion: bool
    status: (
        int | None
    )  # of HTTP, 0 where it is unreadable; None, as the headers are empty, where the record is not HTTP
    headers: dict[str, list[str]]  # by name in lower case
    content_type: str | None
    body: bytes
    complete: bool


def _records(path: Path) -> Iterator[_Record | LostPage]:
    """The response, resource and conversion records of a file; after damage, on from the next one."""
    try:
        file = open(path, "rb")
    except OSError as error:
        raise MellaError(f"Cannot read the WARC file {path}: {error.strerror}. Give the path of a file.") from error
    with file:
        if not path.stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            magic = next((mark for mark in _MAGIC if data[: len(mark)] == mark), None)
            if magic is None:  # its first bytes are damaged: whichever comes first
                places = {found: mark for mark in _MAGIC if (found := data.find(mark)) >= 0}
                magic = places[min(places)] if places else None
            at, said, silent = 0, False, False
            while at >= 0 and magic is not None:
                last, problem = at, ""
                try:
                    for last, record in _iterate(path, file, at):
                        if silent:  # reading had ended before this record, without an error
                            yield LostPage(f"{path.name}, before @{last}", "warc_damaged")
                        said = silent = False
                        if record is not None:
                            yield record
                    silent = not said
                except (OSError, ValueError, OverflowError) as error:
                    problem = str(error)
                if problem and not said:  # once for each damage, however many places in it look like a beginning
                    yield LostPage(f"{path.name}, after @{last}: {problem}", "warc_damaged")
                    said, silent = True, False
                at = data.find(magic, last + 1)


def _iterate(path: Path, file: IO[bytes], start: int) -> Iterator[tuple[int, _Record | None]]:
    """(place in the file, record, or None for one of another kind) from a place on; OSError where it is damaged."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
    file.seek(start)
    stream: Any = _From(file, start) if start else str(path)  # fastwarc reads paths itself, faster
    for found in ArchiveIterator(stream, strict_mode=False):
        at = start + found.stream_pos
        if not found.record_type & kinds:
            yield at, None
            continue
        length = found.content_length
        conversion = found.record_type == WarcRecordType.conversion
        http = found.http_headers if found.is_http else None
        headers: dict[str, list[str]] = {}
        for name, value in http.astuples() if http is not None else ():  # all at once costs less than asking for one
            headers.setdefault(name.lower(), []).append(value)
        content_type = headers.get("content-type", [None])[0] if http is not None else found.headers.get("Content-Type")
        wanted = not conversion and _may_be_html(content_type)
        body = found.reader.read() if wanted else found.reader.read(1)  # none where the file ends within the headers
        complete = len(body) >= (length if wanted else min(length, 1))
        url = (found.headers.get("WARC-Target-URI") or "").strip("<> ")
        status = None if http is None else http.status_code or 0
        yield at, _Record(at, url, conversion, status, headers, content_type, body, complete)


class _From:
    """A file from a place on, which is its zero: so that positions mean the same wherever reading began."""

    def __init__(self, file: IO[bytes], start: int):
        self._file, self._start = file, start

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = self._file.seek(offset + self._start if whence == io.SEEK_SET else offset, whence)
        return place - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start

    def close(self) -> None:
        """The caller's file stays open."""


def _page(record: _Record, name: str, max_bytes: int) -> Page | LostPage:
    """The page of a record of the file `name`."""
    reason, body = None, record.body
    transfer, content, language, reserved = (record.headers.get(name, [None])[0] for name in _READ)
    if not record.complete:
        reason = "page_truncated"
    elif record.conversion or not _may_be_html(record.content_type):
        reason = "page_not_html"
    elif record.status not in (200, None):
        reason = "page_status"
    elif not record.url.lower().startswith(("http://", "https://")):
        reason = "page_url_invalid"
    else:
        try:
            body = decode_body(body, transfer, content, max_bytes=max_bytes)
        except UnreadableBody as error:
            reason = str(error)
        if reason is None and not record.content_type and not _LOOKS_HTML.match(body[:4096]):
            reason = "page_not_html"
    if reason is not None:
        return LostPage(f"{name}@{record.at} {record.url}", reason)
    robots = record.headers.get("x-robots-tag", [])
    if (reserved or "").strip() == "1":
        robots = [*robots, "tdm-reservation"]
    return Page(record.url, body, record.content_type, language, tuple(robots))


def _may_be_html(content_type: str | None) -> bool:
    return not content_type or content_type.partition(";")[0].strip().lower() in HTML_TYPES


def decode_body(
    body: bytes, transfer_encoding: str | None, content_encoding: str | None, *, max_bytes: int = MAX_PAGE_BYTES
) -> bytes:
    """A body without its transfer and content encodings: chunked; gzip, deflate, br, zstd, also several.

    A body that is not in the encoding it claims is taken as it is: archives often store bodies decoded, headers not.

    Raises:
        UnreadableBody: `page_encoding` (damaged, or an encoding that is not known) or `page_too_large`.
    """
    if transfer_encoding and "chunked" in transfer_encoding.lower():
        body = _unchunk(body)
    codings = [name.strip().lower() for name in (content_encoding or "").split(",")]
    for coding in reversed([name for name in codings if name not in ("", "identity")]):
        body = _decompress(body, coding, max_bytes)
    if len(body) > max_bytes:
        raise UnreadableBody("page_too_large")
    return body


def _unchunk(body: bytes) -> bytes:
    """The chunks of a body joined; the body itself where it is not chunked (any more)."""
    parts: list[bytes] = []
    at = 0
    while (size := _CHUNK.match(body, at)) is not None:
        length = int(size.group(1), 16)
        if not length:
            return b"".join(parts)
        parts.append(body[size.end() : size.end() + length])
        at = size.end() + length
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0
    return b"".join(parts) if parts and at >= len(body) else body


def _decompress(body: bytes, coding: str, max_bytes: int) -> bytes:
    if coding in ("gzip", "x-gzip", "deflate"):
        return _inflate(body, coding, max_bytes)
    if coding not in ("br", "zstd"):
        raise UnreadableBody("page_encoding")
    from fastwarc.stream_io import BrotliReader, ZstdReader

    if coding == "zstd" and not body.startswith(_MAGIC[1]) or body[:1] == b"<":
        return body  # decoded already; no brotli stream of a page begins with "<"
    reader = (BrotliReader if coding == "br" else ZstdReader)(io.BytesIO(body))
    parts: list[bytes] = []
    size = 0
    try:
        while part := reader.read(1 << 16):
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                raise UnreadableBody("page_too_large")
    except OSError as error:
        raise UnreadableBody("page_encoding") from error
    return b"".join(parts)


def _inflate(body: bytes, coding: str, max_bytes: int) -> bytes:
    """gzip, zlib, and the bare deflate that some servers send. A stream cut short gives what it holds."""
    if coding != "deflate" and body[:2] != b"\x1f\x8b":
        return body
    bare = coding == "deflate" and (body[:1] != b"\x78" or int.from_bytes(body[:2], "big") % 31)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS if bare else 32 + zlib.MAX_WBITS)
    try:
        text = inflater.decompress(body, max_bytes + 1)
    except zlib.error as error:
        if bare and body[:1] in b" \r\n<":
            return body
        raise UnreadableBody("page_encoding") from error
    if len(text) > max_bytes:
        raise UnreadableBody("page_too_large")
    return text
