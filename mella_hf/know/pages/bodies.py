"""Decode the transfer and content encodings of a body, in bounded memory."""

import io
import re
import zlib

from mella_hf.know.fetching.sniff import NOT_READ

MAX_PAGE_BYTES = 16 << 20  # decoded; Common Crawl cuts pages at 1 MiB (5 MiB since 2025)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*+(?:;[^\r\n]*+)?\r?\n")
_ZSTD = b"\x28\xb5\x2f\xfd"
_STEP = 1 << 16


class UnreadableBody(Exception):
    """A body that cannot be decoded; its argument is the reason."""


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
    for coding in reversed(codings):
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
    if coding in NOT_READ:
        raise UnreadableBody("page_encoding")
    if coding not in ("br", "zstd"):
        return body
    from fastwarc.stream_io import BrotliReader, ZstdReader

    if coding == "zstd" and not body.startswith(_ZSTD) or body[:1] == b"<":
        return body  # decoded already; no brotli stream of a page begins with "<"
    reader = (BrotliReader if coding == "br" else ZstdReader)(io.BytesIO(body))
    parts: list[bytes] = []
    size = 0
    try:
        while part := reader.read(_STEP):
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                raise UnreadableBody("page_too_large")
    except OSError as error:
        raise UnreadableBody("page_encoding") from error
    return b"".join(parts)


def _inflate(body: bytes, coding: str, max_bytes: int) -> bytes:
    """gzip of one or several members, zlib, and the bare deflate that some servers send.

    A stream that is cut short or damaged towards its end gives what it holds, as in a browser.
    """
    if coding != "deflate" and body[:2] != b"\x1f\x8b":
        return body
    is_zlib = body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0
    bare = not is_zlib and body[:2] != b"\x1f\x8b"
    text = bytearray()
    while body:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS if bare else 32 + zlib.MAX_WBITS)
        try:
            text += inflater.decompress(body, max_bytes + 1 - len(text))
        except zlib.error as error:
            if text:  # what follows is not a member
                break
            if bare and body[:1] in b" \r\n<":
                return body
            raise UnreadableBody("page_encoding") from error
        if len(text) > max_bytes:
            raise UnreadableBody("page_too_large")
        body = inflater.unused_data if not bare else b""
    return bytes(text)
