"""Ports of this machine for the servers of tests."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port that the system gives to nobody else before a server listens on it, nor between two of its starts.

    A socket that is bound and does not listen holds it. Servers get it all the same: like asyncio's and torch's,
    they set SO_REUSEADDR, as this socket does.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
