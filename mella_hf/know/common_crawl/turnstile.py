"""Keep one request rate over all processes of a collection, on one machine or several."""

import fcntl
import time
from pathlib import Path

_LONGEST = 600.0  # seconds that a wrong clock of another machine can hold us up


class Turnstile:
    """At most `rate` requests a second, counted in a file that all processes see.

    Args:
        path: the file; its folder must exist.
    """

    def __init__(self, path: Path | str, rate: float):
        self._path, self._step = str(path), 1 / rate

    def take(self) -> None:
        """Wait until a request may be sent."""
        wait = self._claim(self._step, 0.0)
        if wait > 0:
            time.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Let nobody through for some seconds, because the server asked one of us to wait."""
        self._claim(0.0, seconds)

    def _claim(self, step: float, pause: float) -> float:
        """Move the moment of the next request on; returns the seconds until the one that was next."""
        with open(self._path, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when the file closes, also by a process that is killed
            file.seek(0)
            now = time.time()
            said = _number(file.read())
            start = max(now, min(said, now + _LONGEST))
            file.truncate(0)
            file.write(repr(max(start + step, now + pause)).encode())
        return start - now


def _number(text: bytes) -> float:
    """The moment that a file says; 0 where it says none, as after a full disk."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
