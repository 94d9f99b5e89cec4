"""Serve the review page to many browsers from one process, with bounds on connections."""

import asyncio
import resource
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mella_hf.errors import MellaError

IDLE_SECONDS = 20.0  # a connection that has not sent a whole request by then is closed
KEEP_ALIVE_SECONDS = 5  # between two requests
SPARE_DESCRIPTORS = 64  # kept for the state file, the queue's files and what Python opens


def serve(app: Any, listening: socket.socket) -> None:
    """Answer requests until somebody stops the process.

    Browsers that stay connected without asking cannot silence the server: it closes connections that send nothing,
    and, when descriptors run short, the connection that has been idle longest.
    """
    bound = max(16, _raise_limit() - SPARE_DESCRIPTORS)

    class Bounded(_Protocol):
        most = bound

    config = uvicorn.Config(
        app, http=Bounded, log_level="error", access_log=False, lifespan="off", timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections from now on.

    Raises:
        MellaError: when the address is taken or is not this machine's.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        said = error.strerror or str(error)
        raise MellaError(f"Cannot listen on {host} port {port}: {said}; choose another --port.") from error


def link(host: str, port: int, token: str) -> str:
    """The address that a reviewer opens. An IPv6 address stands in brackets (RFC 3986, 3.2.2)."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"


def warning(host: str) -> str | None:
    """What whoever starts the server must know of an address that others can reach, or None."""
    if host in ("127.0.0.1", "::1", "localhost"):
        return None
    return (
        f"Others can reach {host}, and the page is sent without encryption (HTTP): anyone on the network can read the "
        "links, the texts and the decisions. Put a server with HTTPS in front, or listen on 127.0.0.1 and use a tunnel."
    )


def _raise_limit() -> int:
    """Allow as many open files as the system lets this process have; returns the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


class _Protocol(H11Protocol):
    """uvicorn's protocol, which by itself waits for ever for the first request of a connection."""

    most = 1024  # connections at once

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_when_idle)
        if len(self.connections) > self.most:
            oldest = next((other for other in self._oldest_first() if other.is_idle), None)
            if oldest is not None:
                oldest.transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_when_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _oldest_first(self) -> list["_Protocol"]:
        others = [other for other in self.connections if isinstance(other, _Protocol) and other is not self]
        return sorted(others, key=lambda other: other._watch.when())

    def _close_when_idle(self) -> None:
        if self.is_idle:
            self.transport.close()
