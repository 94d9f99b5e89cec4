"""A crawl as Common Crawl publishes it, and a server on loopback that gives it away with faults.

The index has the columns of Common Crawl's table, in its order (by reversed host name), with Spark's timestamps; the
WARC files are concatenated gzip members, as theirs.
"""

import gzip
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

NAMES = (
    "url_surtkey", "url", "url_host_name", "url_host_tld", "url_host_2nd_last_part", "url_host_registry_suffix",
    "url_host_registered_domain", "url_protocol", "url_path", "url_query", "fetch_time", "fetch_status",
    "content_digest", "content_mime_type", "content_mime_detected", "content_charset", "content_languages",
    "warc_filename", "warc_record_offset", "warc_record_length", "warc_segment",
)  # fmt: skip
_TYPES = {"fetch_time": pa.timestamp("us"), "fetch_status": pa.int16()} | dict.fromkeys(
    ("warc_record_offset", "warc_record_length"), pa.int32()
)


@dataclass
class CrawledPage:
    """One row of the index, and the record that it points to."""

    url: str
    html: str = ""
    languages: str | None = "eng"
    time: datetime = datetime(2026, 10, 1)  # noqa: RUF009 - a date does not change
    status: int = 200
    mime: str = "text/html"
    file: int = 0  # which WARC file
    recorded_as: str | None = None  # the address that the record has, where it is not the index's
    damaged: bool = False


def record_of(page: CrawledPage) -> bytes:
    """The gzip member of a page's response."""
    body = page.html.encode()
    http = f"HTTP/1.1 {page.status} OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {page.recorded_as or page.url}\r\n"
        f"WARC-Date: {page.time:%Y-%m-%dT%H:%M:%SZ}\r\nWARC-Record-ID: <urn:uuid:0>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    ).encode()
    data = gzip.compress(head + http + b"\r\n\r\n", mtime=0)
    return data[:30] + bytes([data[30] ^ 255]) + data[31:] if page.damaged else data


def surt(url: str) -> str:
    """The order of the index: reversed host name, then path."""
    parts = urlsplit(url)
    return ",".join(reversed((parts.hostname or "").split("."))) + ")" + parts.path + parts.query


def write_crawl(
    root: Path, crawl: str, pages: Sequence[CrawledPage], *, filler: int = 0, parts: int = 2, row_group: int = 5000
) -> None:
    """Write a crawl below `root`: list, index and WARC files.

    Args:
        filler: rows of English pages whose records are in no file.
        parts: files of the index.
        row_group: rows of a row group.
    """
    segment = f"crawl-data/{crawl}/segments/1700000000000.1/warc"
    rows = []
    for number in sorted({page.file for page in pages}):
        name = f"{segment}/{crawl}-{number:05d}.warc.gz"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with open(root / name, "wb") as file:
            file.write(gzip.compress(b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"))
            for page in (page for page in pages if page.file == number):
                record, at = record_of(page), file.tell()
                file.write(record)
                rows.append(_row(page, name, at, len(record)))
    draw = random.Random(crawl)
    for number in range(filler):
        tld = draw.choice(("com", "com", "com", "de", "org", "ru", "net"))
        page = CrawledPage(
            f"https://www.site{number % 997}.{tld}/articles/{number}/{draw.getrandbits(96):x}.html",
            languages=draw.choice(("eng", "eng", "rus", "deu", "zho,eng", None)),
        )
        rows.append(_row(page, f"{segment}/{crawl}-{draw.randrange(90000):05d}.warc.gz", draw.getrandbits(29), 25_000))
    rows.sort(key=lambda row: row[0])
    files = []
    size = -(-len(rows) // parts)
    for part in range(parts):
        name = f"cc-index/table/cc-main/warc/crawl={crawl}/subset=warc/part-{part:05d}-c000.gz.parquet"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        columns = zip(*rows[part * size : (part + 1) * size], strict=True)
        table = pa.table({n: pa.array(c, _TYPES.get(n, pa.string())) for n, c in zip(NAMES, columns, strict=True)})
        pq.write_table(
            table, root / name, compression="gzip", row_group_size=row_group, use_deprecated_int96_timestamps=True
        )
        files += [name, name.replace("subset=warc", "subset=crawldiagnostics")]
    (root / f"crawl-data/{crawl}/cc-index-table.paths.gz").write_bytes(gzip.compress("\n".join(files).encode()))


def _row(page: CrawledPage, name: str, at: int, length: int) -> tuple:
    parts = urlsplit(page.url)
    host = parts.hostname or ""
    labels = host.split(".")
    return (
        surt(page.url), page.url, host, labels[-1], labels[-2] if len(labels) > 1 else None, labels[-1],
        ".".join(labels[-2:]), parts.scheme, parts.path, parts.query or None, page.time, page.status,
        f"{hash(page.url) & 0xFFFFFFFFFFFF:032X}", page.mime, page.mime, "UTF-8", page.languages,
        name, at, length, "1700000000000.1",
    )  # fmt: skip


Fault = Callable[[str, str | None, int], object]


@dataclass
class CrawlServer:
    """Serves the files below `root`, by ranges too; `log` holds (path, Range) of every request.

    Attributes:
        fault: of (path, Range, how often this was asked before) -> None for a good answer, a status, a pair of
            a status and its Retry-After, "cut" for half of the range, "whole" for an answer that ignores the range.
    """

    root: Path
    fault: Fault = lambda path, wanted, before: None
    log: list[tuple[str, str | None]] = field(default_factory=list)
    sent: int = 0
    _asked: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def __enter__(self) -> "CrawlServer":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *args) -> None:
                """The test's output stays readable."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.base = f"http://127.0.0.1:{self._server.server_port}/"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One request."""
        path, wanted = request.path.lstrip("/"), request.headers.get("Range")
        before = self._asked[path, wanted]
        self._asked[path, wanted] += 1
        self.log.append((path, wanted))
        fault = self.fault(path, wanted, before)
        status, *patience = fault if isinstance(fault, tuple) else (fault,)
        if isinstance(status, int) or not (self.root / path).is_file():
            self._send(request, status if isinstance(status, int) else 404, b"", patience)
            return
        if wanted is None or fault == "whole":
            self._send(request, 200, (self.root / path).read_bytes())
            return
        size = (self.root / path).stat().st_size
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last), size - 1) if first else size - 1
        if start > end:
            self._send(request, 416, b"", headers=[("Content-Range", f"bytes */{size}")])
            return
        with open(self.root / path, "rb") as file:
            file.seek(start)
            piece = file.read(end + 1 - start)
        headers = [("Content-Range", f"bytes {start}-{end}/{size}")]
        if fault == "cut":
            request.send_response(206)
            request.send_header("Content-Length", str(len(piece)))
            request.send_header(*headers[0])
            request.end_headers()
            request.wfile.write(piece[: len(piece) // 2])
            request.close_connection = True
        else:
            self._send(request, 206, piece, headers=headers)

    def _send(self, request, status: int, body: bytes, patience=(), headers=()) -> None:
        request.send_response(status)
        for name, value in [("Content-Length", str(len(body))), *headers, *(("Retry-After", str(p)) for p in patience)]:
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        self.sent += len(body)
