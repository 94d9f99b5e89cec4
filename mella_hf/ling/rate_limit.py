"""When to ask again: a token bucket for a service, its Retry-After, and back-off where it says nothing."""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BACKOFF_BASE = 1.0  # seconds before the second attempt, doubled for each one after it
BACKOFF_CAP = 60.0  # seconds


class TokenBucket:
    """At most `rate` requests a second over time and `burst` at once; threads share it.

    Args:
        rate: requests a second; infinity does not limit.
        burst: requests that may go out at once after a pause.
        clock, sleep: seconds now, and waiting; tests pass their own.
    """

    def __init__(
        self,
        rate: float,
        burst: int = 1,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._rate, self._burst, self._clock, self._sleep = rate, float(burst), clock, sleep
        self._tokens, self._filled = float(burst), clock()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait until a request may go out."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled) * self._rate)
            self._filled = max(self._filled, now)
            self._tokens -= 1  # below zero: the place in the queue
            wait = max(0.0, -self._tokens / self._rate) + self._filled - now
        if wait > 0:
            self._sleep(wait)

    def pause(self, seconds: float) -> None:
        """Let nothing out for some seconds: the service said so to one of the threads."""
        with self._lock:
            self._tokens = min(self._tokens, 0.0)
            self._filled = max(self._filled, self._clock() + seconds)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); None without one."""
    if value is None or not value.strip():
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def backoff(attempt: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds before attempt number `attempt` + 1: doubling, half of it drawn at random so that clients spread out."""
    full = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** (attempt - 1))
    return full * (0.5 + 0.5 * draw())
