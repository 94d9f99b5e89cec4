"""A web server on loopback with latency and faults, in a process of its own, for benchmarks/collect_fetch.py.

    python benchmarks/loopback_server.py IMAGE_FOLDER LATENCY_LOW LATENCY_HIGH FAULTS

Prints its port. Serves the images of the folder at any path, after a wait in [LATENCY_LOW, LATENCY_HIGH] seconds drawn
by path, on 127.0.1.1 to 127.0.1.16. Of the paths, a share of FAULTS fails with 503 or a reset: half at the first
request only, half at the first three.
"""

import asyncio
import random
import sys
import zlib
from pathlib import Path

ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


HOSTS = 16


def latency_of(path: bytes, low: float, high: float) -> float:
    """Seconds that a path takes."""
    return random.Random(zlib.crc32(path)).uniform(low, high)


class Server:
    """What is served, and what was asked for so far."""

    def __init__(self, folder: Path, low: float, high: float, faults: float):
        bodies = [path.read_bytes() for path in sorted(folder.iterdir())]
        self._replies = [
            f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            for body in bodies
        ]
        self._low, self._high, self._faults = low, high, faults
        self._seen: dict[bytes, int] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                await asyncio.sleep(latency_of(path, self._low, self._high))
                self._seen[path] = self._seen.get(path, 0) + 1
                fault = random.Random(path).random()
                if path.endswith((b".txt", b".json")):
                    writer.write(ABSENT)
                elif fault < self._faults and self._seen[path] <= (1 if fault < self._faults / 2 else 3):
                    if self._seen[path] % 2:
                        writer.write(BUSY)
                    else:
                        writer.transport.abort()
                        return
                else:
                    writer.write(self._replies[zlib.crc32(path) % len(self._replies)])
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side is done
        finally:
            writer.close()


async def main() -> None:
    folder, low, high, faults = sys.argv[1:]
    server = Server(Path(folder), float(low), float(high), float(faults))
    listening = await asyncio.start_server(server.serve, "127.0.1.1", 0, backlog=1024)
    port = listening.sockets[0].getsockname()[1]
    for number in range(2, HOSTS + 1):
        await asyncio.start_server(server.serve, f"127.0.1.{number}", port, backlog=1024)
    print(port, flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
