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
from mella_hf.know.fetching.sniff import SNIFF_BYTES, is_html_type, sniff
from mella_hf.know.optouts import TDM_DIRECTIVE, is_reserved, usage_opt_outs
from mella_hf.know.pages.bodies import MAX_PAGE_BYTES, UnreadableBody, decode_body
from mella_hf.know.rows import RowFailed, one_row

_MAGIC = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"WARC/")  # a gzip member, a zstd frame, a plain record
_READ = (
    "transfer-encoding",
    "content-encoding",
    "content-language",
    "tdm-reservation",
    "content-usage",
    "content-signal",
)
_HEAD_BYTES = 1 << 16  # of a record, read to see whether it is a page
_MAX_HEADERS = 1 << 18
_BLANK_LINE = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"[A-Za-z]+(?:/[\d.]+)?[ \t]++(\d{3})(?!\d)")


class Page(NamedTuple):
    """A page as it was served.

    Attributes:
        url: absolute.
        body: bytes of the page, without Content-Encoding.
        content_type, content_language: headers as sent.
        robots: values of X-Robots-Tag, and the names of what other headers opt out of (`optouts.SIGNALS`).
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


def read_warc(path: Path | str, *, max_bytes: int = MAX_PAGE_BYTES) -> Iterator[Page | LostPage]:
    """The pages of a WARC file in order, and what was no page.

    Args:
        max_bytes: the largest page, decoded.

    Raises:
        MellaError: the file is absent, or holds no WARC record, or only texts without HTML (a WET file).
    """
    path = Path(path)
    records = texts = 0
    for record in _records(path, max_bytes):
        if isinstance(record, LostPage):
            yield record
            continue
        records += 1
        texts += record.conversion
        try:
            with one_row("page"):
                page = _page(record, path.name, max_bytes)
        except RowFailed as error:
            page = LostPage(f"{path.name}@{record.at} {record.url} {error.detail}", error.reason)
        yield page
    if not records:
        raise MellaError(f"{path} holds no WARC record of a page; give .warc, .warc.gz or .warc.zst files.")
    if texts == records:
        raise MellaError(f"{path} holds texts without HTML (a WET file), so no images; give the WARC files themselves.")


class _Record(NamedTuple):
    """A WARC record, read: fastwarc's own is gone when the next one comes.

    Attributes:
        status: of HTTP, 0 where it is unreadable; None, as the headers are empty, where the record is not HTTP.
        headers: of HTTP, by name in lower case.
        complete: whether the file holds the whole record.
        too_large: its body was not read.
    """

    at: int
    url: str
    conversion: bool
    status: int | None
    headers: dict[str, list[str]]
    content_type: str | None
    body: bytes
    complete: bool
    too_large: bool


def _records(path: Path, max_bytes: int) -> Iterator[_Record | LostPage]:
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
                    for last, record in _iterate(path, file, at, max_bytes):
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


def _iterate(path: Path, file: IO[bytes], start: int, max_bytes: int) -> Iterator[tuple[int, _Record | None]]:
    """(place in the file, record, or None for one of another kind) from a place on; OSError where it is damaged."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
    file.seek(start)
    stream: Any = _From(file, start) if start else str(path)  # fastwarc reads paths itself, faster
    # Lenient where lines of the headers end in LF alone; elsewhere it would pass over damage without a word.
    for found in ArchiveIterator(stream, parse_http=False, quirks_mode=_ends_in_lf(path)):
        at = start + found.stream_pos
        if not found.record_type & kinds:
            yield at, None
            continue
        yield at, _read_record(found, at, found.record_type == WarcRecordType.conversion, max_bytes)


def _read_record(found: Any, at: int, conversion: bool, max_bytes: int) -> _Record:
    """A record of fastwarc, of which no more is read than a page may have."""
    length = found.content_length
    block = found.reader.read(min(length, _HEAD_BYTES))
    http = _http_headers(block) if found.is_http else None
    status, headers, start = http or (None, {}, 0)
    content_type = headers.get("content-type", [None])[0] if http is not None else found.headers.get("Content-Type")
    if content_type and http is None and content_type.startswith("application/http"):
        content_type = None  # of the record; what it holds has no headers of its own
    wanted = not conversion and _may_be_html(content_type)
    too_large = wanted and length > 2 * max_bytes + _MAX_HEADERS  # chunks have a few bytes of their own
    read = len(block)
    if wanted and not too_large and length > read:
        rest = found.reader.read(length - read)
        read += len(rest)
        if http is not None and start == 0:  # the headers are longer than the first read
            status, headers, start = _http_headers(block + rest) or (0, {}, 0)
        block += rest
    complete = read >= (length if wanted and not too_large else min(length, _HEAD_BYTES))
    url = (found.headers.get("WARC-Target-URI") or "").strip("<> ")
    return _Record(at, url, conversion, status, headers, content_type, block[start:], complete, too_large)


def _http_headers(block: bytes) -> tuple[int, dict[str, list[str]], int] | None:
    """(status, headers by name in lower case, where the body begins) of an HTTP response; None where there is none.

    Lines end with CR LF or, as some archives have it, with LF alone.
    """
    status = _STATUS.match(block)
    if status is None:
        return None if block.lstrip()[:1] == b"<" else (0, {}, 0)
    end = _BLANK_LINE.search(block, 0, _MAX_HEADERS)
    head = block[: end.start()] if end else block[:_MAX_HEADERS]
    headers: dict[str, list[str]] = {}
    values: list[str] = []
    for line in head.split(b"\n")[1:]:
        text = line.decode("utf-8", "replace").rstrip()
        if text[:1] in (" ", "\t") and values:  # a line that goes on (RFC 9112, 5.2)
            values[-1] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        if colon:
            values = headers.setdefault(name.strip().lower(), [])
            values.append(value.strip())
    return int(status[1]), headers, end.end() if end else len(block)


def _ends_in_lf(path: Path) -> bool:
    """Whether the first line of a file, plain or gzip, ends in LF alone."""
    with open(path, "rb") as file:
        head = file.read(256)
    if head[:2] == _MAGIC[0][:2]:
        try:
            head = zlib.decompressobj(31).decompress(head, 64)
        except zlib.error:
            return False
    line, lf, _ = head.partition(b"\n")
    return bool(lf) and line.startswith(b"WARC/") and not line.endswith(b"\r")


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
    transfer, content, language, reserved, usage, signal = (record.headers.get(name, [None])[0] for name in _READ)
    if not record.complete:
        reason = "page_truncated"
    elif record.conversion or not _may_be_html(record.content_type):
        reason = "page_not_html"
    elif record.too_large:
        reason = "page_too_large"
    elif record.status not in (200, None):
        reason = "page_status"
    elif not record.url.lower().startswith(("http://", "https://")):
        reason = "page_url_invalid"
    else:
        try:
            body = decode_body(body, transfer, content, max_bytes=max_bytes)
        except UnreadableBody as error:
            reason = str(error)
        if reason is None and not record.content_type and sniff(body[:SNIFF_BYTES]) != "html":
            reason = "page_not_html"
    if reason is not None:
        return LostPage(f"{name}@{record.at} {record.url}", reason)
    robots = record.headers.get("x-robots-tag", [])
    robots = [*robots, *([TDM_DIRECTIVE] if is_reserved(reserved) else []), *usage_opt_outs(usage, signal)]
    return Page(record.url, body, record.content_type, language, tuple(robots))


def _may_be_html(content_type: str | None) -> bool:
    return not content_type or is_html_type(content_type)
