"""Decide when to retry a request: rate limit, Retry-After header, exponential back-off."""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BACKOFF_BASE = 1.0  # seconds before the second attempt, doubled for each one after it
BACKOFF_CAP = 60.0  # seconds
LONGEST_RETRY_AFTER = 366 * 86_400.0  # seconds; a server that says more says "never"
_DIGITS = 9  # of a number of seconds: 31 years


class TokenBucket:
    """At most `rate` requests a second over time and `burst` at once; threads share it.

    Args:
        rate: requests per second; infinity means no limit.
        burst: requests that may be sent at once after a pause.
        clock, sleep: functions for the time in seconds and for waiting; tests pass their own.
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
        """Wait until a request may be sent."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled) * self._rate)
            self._filled = max(self._filled, now)
            self._tokens -= 1  # below zero: the place in the queue
            wait = max(0.0, -self._tokens / self._rate) + self._filled - now
        if wait > 0:
            self._sleep(wait)

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds, because the service asked one of the threads to wait."""
        with self._lock:
            self._tokens = min(self._tokens, 0.0)
            self._filled = max(self._filled, self._clock() + seconds)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header asks to wait (RFC 9110, 10.2.3).

    Args:
        value: the header: seconds, or a date. Servers send anything here.
        now: when the answer came; the present by default.

    Returns:
        Seconds, `LONGEST_RETRY_AFTER` at most, or None where the header is missing or is neither form.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return LONGEST_RETRY_AFTER if len(text) > _DIGITS else min(float(text), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:  # "-0000": UTC by RFC 5322
            date = date.replace(tzinfo=UTC)
        wait = (date - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, OverflowError, TypeError, IndexError):  # of the standard library's parser, on odd dates
        return None
    return min(max(0.0, wait), LONGEST_RETRY_AFTER)


def backoff(attempt: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds before attempt number `attempt` + 1: doubling, half of it drawn at random so that clients spread out."""
    full = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** (attempt - 1))
    return full * (0.5 + 0.5 * draw())
