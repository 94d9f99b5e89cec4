"""Read ranges of files over HTTP, with retries and a limit on the rate."""

import io
import random
import re
import threading
import time
from collections import Counter
from typing import Any

import requests

from mella_hf.know.common_crawl.settings import CrawlSettings
from mella_hf.know.common_crawl.turnstile import Turnstile
from mella_hf.retry import retry_after

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_LONGEST_WAIT = 60.0  # seconds between two attempts, unless the server asks for more
_LEAST_SPEED = 20_000  # bytes a second; a slower answer is given up and asked for again
_PIECE = 1 << 16
_TAIL = 1 << 16  # of a Parquet file, which holds the footer or most of it


class RangeFailed(Exception):
    """A range could not be read. `reason` is fit for counting: "missing", "mismatch" where the file ends before the
    range begins; or "busy", "incomplete" and "unreachable", which may pass."""

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class RangeReader:
    """Reads files below `settings.base`.

    Attributes:
        counts: "requests" that were sent, and "bytes" of bodies that came.
    """

    def __init__(self, settings: CrawlSettings, turnstile: Turnstile):
        self._settings, self._turnstile = settings, turnstile
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": settings.user_agent, "Accept-Encoding": "identity"})
        self.counts: Counter[str] = Counter()
        self._counting = threading.Lock()  # ranges are read in several threads

    def whole(self, path: str, most: int) -> bytes:
        """A small file. Raises RangeFailed."""
        return self._ask(path, None, most)[0]

    def read(self, path: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` on; fewer where the file ends before. Raises RangeFailed."""
        return self._ask(path, f"bytes={start}-{start + length - 1}", length)[0]

    def tail(self, path: str, length: int) -> tuple[bytes, int]:
        """(the last bytes of a file, its size). Raises RangeFailed."""
        return self._ask(path, f"bytes=-{length}", length)

    def _ask(self, path: str, wanted: str | None, most: int) -> tuple[bytes, int]:
        """Ask until the answer is whole, with longer and longer pauses, as often as `attempts` allows."""
        attempt = 0
        while True:
            attempt += 1
            self._turnstile.take()
            self._count("requests", 1)
            patience = None
            try:
                return self._once(path, wanted, most)
            except _Busy as busy:
                failure, patience = RangeFailed("busy", f"{path}: HTTP {busy.status}"), busy.patience
            except _Cut as cut:
                failure = RangeFailed("incomplete", f"{path}: {cut}")
            except (requests.ConnectionError, requests.Timeout) as error:
                failure = RangeFailed("unreachable", f"{path}: {type(error).__name__}")
            except requests.RequestException as error:  # a body that breaks off
                failure = RangeFailed("incomplete", f"{path}: {type(error).__name__}")
            if attempt >= self._settings.attempts:
                raise failure
            wait = min(_LONGEST_WAIT, self._settings.backoff * 2 ** (attempt - 1)) * random.uniform(0.5, 1)
            if failure.reason == "busy":  # for all of us: the server is at its limit
                self._turnstile.pause(max(wait, patience or 0.0))
            else:
                time.sleep(wait)

    def _once(self, path: str, wanted: str | None, most: int) -> tuple[bytes, int]:
        settings = self._settings
        with self._session.get(
            settings.base.rstrip("/") + "/" + path,
            headers={"Range": wanted} if wanted else {},
            stream=True,
            timeout=settings.timeout,
            allow_redirects=False,
        ) as reply:
            if reply.status_code in (403, 408, 425, 429) or reply.status_code >= 500:
                raise _Busy(reply.status_code, retry_after(reply.headers.get("Retry-After")))
            if reply.status_code == 200 and wanted:
                raise _Cut("the whole file in place of a range; a copy of the crawl must give ranges")
            if reply.status_code == 416:
                raise RangeFailed("mismatch", f"{path}: HTTP 416, the file ends before {wanted}")
            if reply.status_code not in (200, 206):
                moved = reply.headers.get("Location", "")[:200]
                raise RangeFailed(
                    "missing", f"{path}: HTTP {reply.status_code}" + (f", moved to {moved}" if moved else "")
                )
            found = _RANGE.fullmatch(reply.headers.get("Content-Range", "")) if wanted else None
            if wanted and found is None:
                raise _Cut("an answer without Content-Range")
            body = self._body(reply, most, time.monotonic() + settings.timeout + most / _LEAST_SPEED)
        if found is None:
            return body, len(body)
        first, last, size = map(int, found.groups())
        if wanted and wanted.startswith("bytes=-"):
            right = last == size - 1 and first == max(0, size - most)
        else:
            begin, _, end = (wanted or "").removeprefix("bytes=").partition("-")
            right = str(first) == begin and (str(last) == end or last == size - 1 < int(end))
        if not right or len(body) != last - first + 1:
            raise _Cut(f"{len(body):,} bytes of {reply.headers['Content-Range']} for {wanted}")
        return body, size

    def _count(self, name: str, number: int) -> None:
        with self._counting:
            self.counts[name] += number

    def _body(self, reply: requests.Response, most: int, end: float) -> bytes:
        body = bytearray()
        for piece in reply.iter_content(_PIECE):
            body += piece
            self._count("bytes", len(piece))
            if len(body) > most:
                raise _Cut(f"more than the {most:,} bytes that were asked for")
            if time.monotonic() > end:
                raise _Cut(f"under {_LEAST_SPEED:,} bytes a second")
        return bytes(body)


class _Busy(Exception):
    """The server answers that it is at its limit; Common Crawl's says so with 403 too."""

    def __init__(self, status: int, patience: float | None):
        self.status, self.patience = status, patience


class _Cut(Exception):
    """An answer that is not what was asked for."""


class RangeFile(io.RawIOBase):
    """A remote file for pyarrow, which reads the footer and the columns that it needs."""

    def __init__(self, reader: RangeReader, path: str):
        super().__init__()
        self._reader, self._path, self._at = reader, path, 0
        self._tail, self._size = reader.tail(path, _TAIL)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the place of the next read."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Read by one request; the file's end is there already. Raises RangeFailed."""
        left = max(0, self._size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        start, self._at = self._at, self._at + length
        if not length:
            return b""
        before = self._size - len(self._tail)
        if start >= before:
            return self._tail[start - before : start - before + length]
        return self._reader.read(self._path, start, length)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer. Raises RangeFailed."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
