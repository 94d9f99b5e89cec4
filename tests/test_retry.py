"""A bucket on a clock of its own; Retry-After against RFC 9110's examples."""

from datetime import UTC, datetime

import pytest

from mella_hf.retry import BACKOFF_CAP, LONGEST_RETRY_AFTER, TokenBucket, backoff, retry_after


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def times(bucket: TokenBucket, clock: Clock, count: int) -> list[float]:
    out = []
    for _ in range(count):
        bucket.take()
        out.append(round(clock.now - 100, 6))
    return out


def test_a_burst_and_then_the_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(2.0, 3, clock=lambda: clock.now, sleep=clock.sleep)
    assert times(bucket, clock, 6) == [0, 0, 0, 0.5, 1.0, 1.5]
    clock.now += 60  # a rest earns the burst again, and no more
    start = clock.now - 100
    assert times(bucket, clock, 5) == [start, start, start, start + 0.5, start + 1.0]


def test_a_pause_holds_everyone() -> None:
    clock = Clock()
    bucket = TokenBucket(10.0, 5, clock=lambda: clock.now, sleep=clock.sleep)
    bucket.pause(30)
    assert times(bucket, clock, 2) == [30.1, 30.2]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), (" 0 ", 0.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 59.0), (None, None), ("", None), ("soon", None),
     ("-5", None), ("Fri, 31 Dec 1999 23:00:00 GMT", 0.0), ("Fri, 31 Dec 1999 23:59:59 -0000", 59.0), ("1.5", None),
     ("²", None), ("9" * 5000, LONGEST_RETRY_AFTER), ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
     ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None), ("Fri, 99 Dec 1999 99:99:99 GMT", None),
     ("Fri, 31 Dec 1999 23:59:59 +9999999999", None), ("\ud800", None)],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, datetime(1999, 12, 31, 23, 59, 0, tzinfo=UTC)) == seconds


def test_backoff_doubles_to_a_cap() -> None:
    assert [backoff(n, lambda: 1.0) for n in range(1, 5)] == [1, 2, 4, 8]
    assert backoff(30, lambda: 1.0) == BACKOFF_CAP and backoff(3, lambda: 0.0) == 2.0
