"""Download one URL, reading no more than needed, or say why it failed.

A server can be slow in every phase, never end, lie about length, type and encoding, or break the connection. None of
this raises an exception here: each becomes a reason.
"""

import asyncio
import re
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from mella_hf.know.fetching.addresses import BlockedAddress
from mella_hf.know.fetching.sniff import NOT_READ, SNIFF_BYTES, kind_of
from mella_hf.know.links import absolute_url

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 << 10
_GZIP = b"\x1f\x8b"
# Statuses of a server that may do better later: RFC 9110, RFC 6585, and Cloudflare's 52x.
_RETRYABLE = re.compile(
    r"http_(408|425|429|5\d\d)|timeout_\w+|incomplete|host_gave_up|(?:record|index)_(?:busy|incomplete|unreachable)"
    r"|(?:page_)?(?:dns_error|connect_error|timeout_connect|robots_unavailable|rsl_unavailable)"
)
_NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


def is_retryable(reason: str | None) -> bool:
    """Whether what failed for this reason may work at another time."""
    return reason is not None and _RETRYABLE.fullmatch(reason) is not None


@dataclass(frozen=True)
class Limits:
    """How long and how much, for one request.

    Attributes:
        connect: seconds until a connection stands.
        response: seconds until the response's headers are there, connecting included.
        read: seconds between two reads of the body.
        total: seconds for everything.
        max_bytes: of a body, on the wire and decoded.
        cut: keep the first `max_bytes` of a larger body.
    """

    connect: float = 10.0
    response: float = 20.0
    read: float = 10.0
    total: float = 60.0
    max_bytes: int = 20 << 20
    cut: bool = False


@dataclass
class Response:
    """What came back.

    Attributes:
        reason: why there is no use for it, fit for counting; None when all went well.
        status: of HTTP; None where there was no response.
        body: decoded from its Content-Encoding; empty when there is a reason.
        kind: of the body, sniffed; None when none was read.
        received: bytes of the body on the wire.
        overridden: the reservation that was not honoured, if any.
    """

    reason: str | None = None
    status: int | None = None
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: _NO_HEADERS)
    x_robots_tag: tuple[str, ...] = ()
    body: bytes = b""
    kind: str | None = None
    received: int = 0
    overridden: str | None = None

    @property
    def is_redirect(self) -> bool:
        """Whether it leads elsewhere."""
        return self.reason is None and self.status in REDIRECTS


Check = Callable[[Response], str | None]


async def download(
    session: aiohttp.ClientSession,
    url: str,
    limits: Limits,
    *,
    headers: Mapping[str, str],
    accept: Check,
    kinds: frozenset[str] | None,
) -> Response:
    """Request a URL, without following redirects.

    Args:
        headers: of the request; If-None-Match and the like, which make a 304 an answer.
        accept: looks at the headers of a 200 and names a reason not to read the body, or None.
        kinds: what the body must be by its first bytes; None for anything.
    """
    response = Response()
    phase = "response"
    try:
        async with asyncio.timeout(limits.total):
            async with asyncio.timeout(limits.response):
                reply = await session.get(URL(url, encoded=True), headers=headers, allow_redirects=False)
            phase = "read"
            async with reply:
                response.status, response.headers = reply.status, reply.headers
                response.x_robots_tag = tuple(reply.headers.getall("X-Robots-Tag", ()))
                response.reason = _status_reason(reply.status, bool(headers)) or accept(response)
                if response.reason is None and reply.status == 200:
                    await _read_body(reply, response, limits, kinds)
                if response.reason is not None or reply.status in REDIRECTS:
                    reply.close()  # what remains is not worth its bytes
    except TimeoutError as error:
        response.reason = _timeout_reason(error, phase)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: yarl's, of URLs
        response.reason = _failure_reason(error)
    if response.reason is not None:
        response.body = b""
    return response


def _status_reason(status: int, conditional: bool) -> str | None:
    answers = status == 200 or status in REDIRECTS or (status == 304 and conditional)
    return None if answers else f"http_{status}"


async def _read_body(
    reply: aiohttp.ClientResponse, response: Response, limits: Limits, kinds: frozenset[str] | None
) -> None:
    """Read a body up to its cap, and no further than its first bytes when it is of another kind."""
    max_bytes = limits.max_bytes
    if (reply.content_length or 0) > max_bytes and not limits.cut:
        response.reason = "too_large"
        return
    decode = _decoder(reply.headers.get("Content-Encoding", ""))
    if decode is None:
        response.reason = "unknown_encoding"
        return
    chunks: list[bytes] = []
    size = 0
    async for wire in reply.content.iter_chunked(_CHUNK):
        response.received += len(wire)
        try:
            chunk = decode(wire, max_bytes - size + 1)
        except zlib.error:
            response.reason = "broken_encoding"
            return
        chunks.append(chunk)
        size += len(chunk)
        if limits.cut and size > max_bytes:
            break
        if size > max_bytes or response.received > max_bytes:
            response.reason = "too_large"
            return
        if response.kind is None and size >= SNIFF_BYTES and not _is_wanted(b"".join(chunks), response, kinds):
            return
    response.body = b"".join(chunks)[:max_bytes]
    if not response.body:
        response.reason = "empty"
    elif response.kind is None:
        _is_wanted(response.body, response, kinds)


def _is_wanted(body: bytes, response: Response, kinds: frozenset[str] | None) -> bool:
    response.kind = kind_of(body[:SNIFF_BYTES], response.headers.get("Content-Type"))
    if kinds is not None and response.kind not in kinds:
        response.reason = "wrong_kind"
    return response.reason is None


def _decoder(encoding: str) -> Callable[[bytes, int], bytes] | None:
    """A function of (bytes, most bytes to return) for a Content-Encoding; None for one that was not offered.

    A name that is not an encoding, such as "none" or "utf-8", is ignored, as in browsers and in WARC files.
    """
    inflated, others = ("gzip", "x-gzip", "deflate"), ("br", "zstd", *NOT_READ)
    named = [part.strip().lower() for part in encoding.split(",")]
    names = [name for name in named if name in (*inflated, *others)]
    if not names:
        return lambda data, limit: data
    if len(names) > 1 or names[0] in others:
        return None
    return _Inflater(names[0] == "deflate").decode


class _Inflater:
    """Inflates gzip and zlib, by the header; and, where it may be, the bare deflate that some servers send."""

    def __init__(self, maybe_bare: bool):
        self._maybe_bare = maybe_bare
        self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def decode(self, data: bytes, limit: int) -> bytes:
        """What a piece of a body gives, at most `limit` bytes. Raises zlib.error."""
        before, self._maybe_bare = self._maybe_bare and bool(data), False
        try:
            text = self._inflater.decompress(data, limit)
        except zlib.error:
            if not before:  # not at its beginning
                raise
            self._inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
            return self._inflater.decompress(data, limit)
        while len(text) < limit and self._inflater.unused_data[:2] == _GZIP:  # one member behind another (RFC 1952)
            data, self._inflater = self._inflater.unused_data, zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            text += self._inflater.decompress(data, limit - len(text))
        return text


def _timeout_reason(error: TimeoutError, phase: str) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "timeout_connect"
    if isinstance(error, aiohttp.SocketTimeoutError) or phase == "response":
        return f"timeout_{phase}"
    return "timeout_total"


def _failure_reason(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, BlockedAddress):
        return "blocked_address"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns_error"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls_error"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connect_error"
    if isinstance(error, aiohttp.ClientResponseError):
        return "bad_response"
    if isinstance(error, ValueError):  # aiohttp's InvalidURL is one
        return "bad_url"
    return "incomplete"  # the connection broke: reset, closed early, a body shorter than it said


@lru_cache(maxsize=8192)  # a fetch asks twice for each URL
def origin_of(url: str) -> str | None:
    """Scheme, host and port of an http or https URL; None for any other and for what is no URL."""
    found, _ = absolute_url("", url)
    if found is None:
        return None
    scheme, _, rest = found.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"


def redirect_target(url: str, location: str | None) -> str | None:
    """The absolute http or https URL that a redirect names, or None."""
    return absolute_url(url, location)[0] if location and location.strip() else None
