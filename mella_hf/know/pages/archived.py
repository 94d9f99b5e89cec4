"""Read a record of a web archive (WARC or ARC): its HTTP headers and its body, up to the size limit of a page."""

import re
from typing import NamedTuple, Protocol

from mella_hf.know.fetching.sniff import is_html_type

_HEAD_BYTES = 1 << 16  # of a record, read to see whether it is a page
_MAX_HEADERS = 1 << 18
_BLANK_LINE = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"[A-Za-z]+(?:/[\d.]+)?[ \t]++(\d{3})(?!\d)")


class ArchivedRecord(NamedTuple):
    """One record, copied out of the reader, which overwrites its own when it reads the next.

    Attributes:
        at: its place in the file; in a packed ARC file, its place in the unpacked text.
        conversion: whether it holds text that somebody took out of a page.
        status: of HTTP, 0 where it is unreadable; None, as the headers are empty, where the record is not HTTP.
        headers: of HTTP, by name in lower case.
        complete: whether the file holds the whole record.
        has_length: whether the archive says how long the record is; without that, nothing of it is read.
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
    has_length: bool = True


class Block(Protocol):
    """What a record holds, as a stream that ends no later than the record."""

    def read(self, size: int, /) -> bytes:
        """Read the next `size` bytes. Fewer come only at the end of the record."""


def read_record(
    block: Block,
    length: int,
    *,
    at: int,
    url: str,
    is_http: bool,
    content_type: str | None,
    conversion: bool = False,
    has_length: bool = True,
    max_bytes: int,
) -> ArchivedRecord:
    """Read a record, but no more of it than a page may have.

    Args:
        length: of the block, as the archive says.
        content_type: of the record; it counts where there are no HTTP headers.
        has_length: False if `length` is 0 only because the archive does not say it.
    """
    head = block.read(min(length, _HEAD_BYTES))
    http = http_headers(head) if is_http else None
    status, headers, start = http or (None, {}, 0)
    if http is not None:
        content_type = headers.get("content-type", [None])[0]
    elif content_type and content_type.startswith("application/http"):
        content_type = None  # what the record holds has no headers of its own
    wanted = not conversion and may_be_html(content_type)
    too_large = wanted and length > 2 * max_bytes + _MAX_HEADERS  # chunks have a few bytes of their own
    read = len(head)
    if wanted and not too_large and length > read:
        rest = block.read(length - read)
        read += len(rest)
        if http is not None and start == 0:  # the headers are longer than the first read
            status, headers, start = http_headers(head + rest) or (0, {}, 0)
        head += rest
    complete = read >= (length if wanted and not too_large else min(length, _HEAD_BYTES))
    return ArchivedRecord(
        at, url, conversion, status, headers, content_type, head[start:], complete, too_large, has_length
    )


def http_headers(block: bytes) -> tuple[int, dict[str, list[str]], int] | None:
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


def may_be_html(content_type: str | None) -> bool:
    """Whether a record of this type may be a page: also one without a type."""
    return not content_type or is_html_type(content_type)
