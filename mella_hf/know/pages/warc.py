"""Read HTML pages from WARC files (plain, gzip or zstd; Common Crawl's or your own), WACZ files and ARC files.

Damaged records are skipped and counted: reading continues at the next member, and a last record that is cut off is
counted. Bodies are decoded here, because a reader that decodes them itself stops without an error at the first chunked
gzip body.
"""

import io
import mmap
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from mella_hf.errors import MellaError
from mella_hf.know.fetching.sniff import SNIFF_BYTES, sniff
from mella_hf.know.optouts import RSL, TDM_DIRECTIVE, is_reserved, usage_opt_outs
from mella_hf.know.pages.arc import arc_records, is_arc
from mella_hf.know.pages.archived import ArchivedRecord, may_be_html, read_record
from mella_hf.know.pages.bodies import MAX_PAGE_BYTES, UnreadableBody, decode_body
from mella_hf.know.pages.zstd_dictionary import FRAME, dictionary_frame
from mella_hf.know.rows import RowFailed, one_row
from mella_hf.know.rsl import links_to_rsl

_MAGIC = (b"\x1f\x8b\x08", FRAME, b"WARC/")  # a gzip member, a zstd frame, a plain record


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
    """A record that is not a page, with the reason that is counted."""

    where: str
    reason: str


def read_warc(path: Path | str, *, max_bytes: int = MAX_PAGE_BYTES) -> Iterator[Page | LostPage]:
    """The pages of a WARC, WACZ or ARC file in order, and the records that are not pages.

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
        raise MellaError(
            f"{path} holds no WARC record of a page; give .warc, .warc.gz, .warc.zst, .wacz, .arc or .arc.gz files."
        )
    if texts == records:
        raise MellaError(f"{path} holds texts without HTML (a WET file), so no images; give the WARC files themselves.")


def _records(path: Path, max_bytes: int) -> Iterator[ArchivedRecord | LostPage]:
    """The response, resource and conversion records of a file; after damage, on from the next one."""
    try:
        file = open(path, "rb")
    except OSError as error:
        raise MellaError(f"Cannot read the WARC file {path}: {error.strerror}. Give the path of a file.") from error
    with file:
        if not path.stat().st_size:
            return
        if file.read(4) == b"PK\3\4" and zipfile.is_zipfile(file):
            yield from _zipped_records(file, path, max_bytes)
            return
        file.seek(0)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if is_arc(data[:256]):
                for one in arc_records(file, data, max_bytes):
                    yield LostPage(f"{path.name}, {one}", "warc_damaged") if isinstance(one, str) else one
                return
            before = dictionary_frame(data, path)
            at, said, silent = len(before), False, False
            magic = next((mark for mark in _MAGIC if data[at : at + len(mark)] == mark), None)
            if magic is None:  # its first bytes are damaged: whichever comes first
                places = {data.find(mark, at): mark for mark in _MAGIC}
                places.pop(-1, None)
                magic = places[min(places)] if places else None
            while at >= 0 and magic is not None:
                last, problem = at, ""
                try:
                    for last, record in _iterate(path, file, at, max_bytes, before):
                        if silent:  # reading had ended before this record, without an error
                            yield LostPage(f"{path.name}, before @{last}", "warc_damaged")
                        silent = False
                        said = record is not None and not record.has_length  # what follows is that record's block
                        if record is not None:
                            yield record
                    silent = not said
                except (OSError, ValueError, OverflowError) as error:
                    problem = str(error)
                if problem and not said:  # once for each damage, however many places in it look like a beginning
                    yield LostPage(f"{path.name}, after @{last}: {problem}", "warc_damaged")
                    said, silent = True, False
                at = data.find(magic, last + 1)


def _zipped_records(file: IO[bytes], path: Path, max_bytes: int) -> Iterator[ArchivedRecord | LostPage]:
    """The records of the WARC files in a WACZ file, which a zip file stores without compressing them once more.

    https://specs.webrecorder.net/wacz/1.1.1/. Each is copied to a temporary file, since readers go to and fro in it.
    """
    with zipfile.ZipFile(file) as members:
        for member in members.infolist():
            name = member.filename
            if not (name.startswith("archive/") and name.endswith((".warc", ".warc.gz"))):
                continue
            if member.compress_type != zipfile.ZIP_STORED:  # it might inflate to anything
                yield LostPage(f"{path.name}, {name}: it is compressed within the zip file", "warc_damaged")
                continue
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / Path(name).name
                with open(copy, "wb") as plain:
                    for piece in _stored(file, member):
                        plain.write(piece)
                yield from _records(copy, max_bytes)


def _stored(file: IO[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member that is not compressed. Its checksum is not asked: after damage, archives are read on."""
    file.seek(member.header_offset + 26)  # of the member's own header, which ends with two lengths and what has them
    name, extra = struct.unpack("<HH", file.read(4))
    file.seek(name + extra, io.SEEK_CUR)
    left = member.compress_size
    while left > 0 and (piece := file.read(min(left, 1 << 20))):
        yield piece
        left -= len(piece)


def _iterate(
    path: Path, file: IO[bytes], start: int, max_bytes: int, before: bytes
) -> Iterator[tuple[int, ArchivedRecord | None]]:
    """(place in the file, record, or None for one of another kind) from a place on; OSError where it is damaged.

    Args:
        before: the dictionary frame with which the file begins, or nothing. Reading needs it wherever it begins.
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = (WarcRecordType.response, WarcRecordType.resource, WarcRecordType.conversion)
    shift = start - len(before)
    stream: Any = _From(before, file, start) if shift else str(path)  # fastwarc reads paths itself, faster
    # Lenient where lines of the headers end in LF alone; elsewhere it would pass over damage without a word.
    for found in ArchiveIterator(stream, parse_http=False, quirks_mode=_ends_in_lf(path)):
        at = shift + found.stream_pos
        kind = found.record_type
        if kind not in kinds:
            yield at, None
            continue
        # FastWARC takes a length that it cannot read for 0.
        says_none = set((found.headers.get("Content-Length") or "").strip()) == {"0"}
        record = read_record(
            found.reader,
            found.content_length,
            at=at,
            url=(found.headers.get("WARC-Target-URI") or "").strip("<> "),
            is_http=found.is_http,
            content_type=found.headers.get("Content-Type"),
            conversion=kind == WarcRecordType.conversion,
            has_length=found.content_length > 0 or says_none,
            max_bytes=max_bytes,
        )
        yield at, record


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


class _From(io.RawIOBase):
    """Some bytes, and behind them a file from a place on."""

    def __init__(self, before: bytes, file: IO[bytes], start: int):
        super().__init__()
        self._before, self._file, self._shift, self._at = before, file, start - len(before), 0

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        if self._at < len(self._before):
            piece = self._before[self._at :] if size < 0 else self._before[self._at : self._at + size]
        else:
            self._file.seek(self._shift + self._at)
            piece = self._file.read(size)
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the place of the next read."""
        if whence == io.SEEK_END:
            self._at = self._file.seek(0, io.SEEK_END) - self._shift + offset
        else:
            self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def tell(self) -> int:
        """The place of the next read."""
        return self._at


def _page(record: ArchivedRecord, name: str, max_bytes: int) -> Page | LostPage:
    """The page of a record of the file `name`."""
    reason, body = None, record.body
    headers = record.headers
    if not record.has_length:
        reason = "page_length_unknown"
    elif not record.complete:
        reason = "page_truncated"
    elif record.conversion or not may_be_html(record.content_type):
        reason = "page_not_html"
    elif record.too_large:
        reason = "page_too_large"
    elif record.status == 0:
        reason = "page_not_http" if body else "page_empty"
    elif record.status not in (200, None):
        reason = "page_status"
    elif not record.url.lower().startswith(("http://", "https://")):
        reason = "page_url_invalid"
    else:
        try:
            transfer, content = (", ".join(headers.get(name, ())) for name in ("transfer-encoding", "content-encoding"))
            body = decode_body(body, transfer, content, max_bytes=max_bytes)
        except UnreadableBody as error:
            reason = str(error)
        if reason is None and not record.content_type and sniff(body[:SNIFF_BYTES]) != "html":
            reason = "page_not_html"
    if reason is not None:
        return LostPage(f"{name}@{record.at} {record.url}", reason)
    robots = [*headers.get("x-robots-tag", ())]
    robots += [TDM_DIRECTIVE] if is_reserved(", ".join(headers.get("tdm-reservation", ()))) else []
    robots += [RSL] if links_to_rsl(headers.get("link", ())) else []
    robots += usage_opt_outs(headers.get("content-usage", ()), headers.get("content-signal", ()))
    language = headers.get("content-language", [None])[0]
    return Page(record.url, body, record.content_type, language, tuple(robots))
