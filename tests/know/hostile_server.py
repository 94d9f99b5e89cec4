"""A web server on loopback that behaves badly on purpose; every route says how.

Raw sockets, since no proper server sends wrong lengths or stops in the middle. It listens on several addresses of
127.0.0.0/8, which to a crawler are several hosts.
"""

import asyncio
import gzip
import io
import itertools
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from PIL import Image

HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 10))


def jpeg(seed: int = 0, size: tuple[int, int] = (320, 240)) -> bytes:
    """A small real JPEG that depends on `seed`."""
    image = Image.radial_gradient("L").resize(size).convert("RGB")
    image.paste(((37 * seed) % 256, (91 * seed) % 256, 200), (10 + seed % 100, 20, 90 + seed % 100, 130))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


@dataclass(frozen=True)
class Request:
    """One request as the server saw it."""

    host: str
    path: str
    at: float
    headers: dict[str, str]


Route = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes = b"", status: int = 200, length: int | None = None, **headers: str) -> Route:
    """A route that answers the same to everyone. `length` is what Content-Length claims."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        await writer.drain()

    return answer


async def slow_headers(request: Request, writer: asyncio.StreamWriter) -> None:
    """A slow loris: one byte of the headers now and then, for ever."""
    for byte in itertools.chain(b"HTTP/1.1 200 OK\r\nX-Padding: ", itertools.repeat(ord("x"))):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def slow_body(request: Request, writer: asyncio.StreamWriter) -> None:
    """A body that drips fast enough for every read, and never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + jpeg()[:600])
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def stalled_body(request: Request, writer: asyncio.StreamWriter) -> None:
    """A body that stops in the middle, with the connection open."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + jpeg()[:600])
    await writer.drain()
    await asyncio.Event().wait()


async def endless_body(request: Request, writer: asyncio.StreamWriter) -> None:
    """A chunked body without an end, as fast as it goes."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    block = jpeg() + bytes(60_000)
    while True:
        writer.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)  # the other routes share this thread


async def reset_in_the_middle(request: Request, writer: asyncio.StreamWriter) -> None:
    """Half a body, then a reset."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + jpeg()[:600])
    await writer.drain()
    writer.transport.abort()


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    """No answer at all."""
    await asyncio.Event().wait()


def gzip_bomb() -> bytes:
    """100 MB of zeros behind the head of a JPEG, as 100 kB of gzip."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    parts = [packer.compress(jpeg()[:600])]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(100)]
    return b"".join(parts) + packer.flush()


def faulty(times: int, broken: Route, then: Route) -> Route:
    """`broken` for the first requests of each path, `then` afterwards."""
    seen: dict[str, int] = {}

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        seen[request.path] = seen.get(request.path, 0) + 1
        await (broken if seen[request.path] <= times else then)(request, writer)

    return answer


def with_etag(body: bytes, etag: str) -> Route:
    """An image that answers 304 to whoever has it."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        fresh = request.headers.get("if-none-match") == etag
        await (reply(status=304, ETag=etag) if fresh else reply(body, ETag=etag))(request, writer)

    return answer


ROBOTS = reply(b"User-agent: *\nDisallow: /private/\n")
GZIPPED = reply(gzip.compress(jpeg()), Content_Encoding="gzip", Content_Type="image/jpeg")


@dataclass
class HostileServer:
    """Routes by path, or by "host path"; every other path is a 404. Usable as a context manager."""

    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    hosts: tuple[str, ...] = HOSTS

    def url(self, path: str, host: str = HOSTS[0]) -> str:
        """A URL of this server."""
        return f"http://{host}:{self.port}{path}"

    def asked(self, path: str, host: str | None = None) -> list[Request]:
        """The requests of a path so far."""
        return [r for r in self.requests if r.path == path and host in (None, r.host)]

    def __enter__(self) -> "HostileServer":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        while len(self._servers) < len(self.hosts):
            try:
                self._servers.append(await asyncio.start_server(self._serve, self.hosts[0], 0, backlog=1024))
                self.port = self._servers[0].sockets[0].getsockname()[1]
                for host in self.hosts[1:]:
                    self._servers.append(await asyncio.start_server(self._serve, host, self.port, backlog=1024))
            except OSError:  # the port that is free on the first address is taken on another
                for server in self._servers:
                    server.close()
                self._servers.clear()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in head[1:] if ": " in line]
            host = writer.get_extra_info("sockname")[0]
            request = Request(host, head[0].split(" ")[1], time.monotonic(), {k.lower(): v for k, v in pairs})
            self.requests.append(request)
            route = self.routes.get(f"{host} {request.path}") or self.routes.get(request.path) or reply(status=404)
            await route(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asked is gone
        finally:
            self._tasks.discard(task)
            writer.close()
