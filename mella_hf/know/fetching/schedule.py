"""Schedule requests per host: how many at a time, how far apart, and not before a Retry-After.

Pure bookkeeping without I/O; the caller passes the time.
"""

import heapq
import itertools
from dataclasses import dataclass, field

from mella_hf.know.records import host_of


@dataclass(slots=True)
class Job:
    """One URL under way.

    Attributes:
        url: as requested.
        target: where it leads by now, after redirects.
        hops: redirects followed so far.
        attempt: requests of `target` that failed so far.
    """

    url: str
    target: str
    hops: int = 0
    attempt: int = 0


@dataclass(slots=True)
class Host:
    """What is known of one host.

    Attributes:
        delay: seconds between the starts of two requests.
        next_start: when the next request may start.
        failures: retryable failures in a row.
    """

    name: str
    delay: float
    next_start: float = 0.0
    failures: int = 0
    active: int = 0
    waiting: list[tuple[float, int, Job]] = field(default_factory=list)
    entry: tuple[float, int] | None = None  # the host's place in the queue of hosts; None when it is not there


class Schedule:
    """Which URL may be asked for next.

    Args:
        per_host: requests under way to one host at a time.
        delay: seconds between the starts of two requests to one host.
    """

    def __init__(self, per_host: int, delay: float):
        self._per_host = per_host
        self._delay = delay
        self._hosts: dict[str, Host] = {}
        self._queue: list[tuple[float, int, Host]] = []
        self._number = itertools.count()

    def host_of(self, url: str) -> Host:
        """The host of a URL."""
        return self.host(host_of(url))

    def host(self, name: str) -> Host:
        """The host of that name."""
        if name not in self._hosts:
            self._hosts[name] = Host(name, self._delay)
        return self._hosts[name]

    def add(self, job: Job, ready_at: float = 0.0) -> None:
        """Let a job wait for its host, and at least until `ready_at`."""
        host = self.host_of(job.target)
        heapq.heappush(host.waiting, (ready_at, next(self._number), job))
        self._enqueue(host)

    def take(self, now: float) -> Job | float | None:
        """A job to start now; or the seconds until one may start; or None when no host has one to start."""
        while self._queue:
            when, number, host = self._queue[0]
            if host.entry != (when, number):
                heapq.heappop(self._queue)  # an entry that was replaced
                continue
            if max(host.next_start, host.waiting[0][0]) > when:  # the host was told to wait since
                heapq.heappop(self._queue)
                host.entry = None
                self._enqueue(host)
                continue
            if when > now:
                return when - now
            heapq.heappop(self._queue)
            job = heapq.heappop(host.waiting)[2]
            host.active += 1
            host.entry = None
            self._enqueue(host)
            return job
        return None

    def start(self, host: Host, now: float) -> float:
        """Claim the next start of a request to a host; returns the seconds to wait for it."""
        begin = max(now, host.next_start)
        host.next_start = begin + host.delay
        return begin - now

    def finish(self, host: Host) -> None:
        """A job that was taken is over, whatever became of it."""
        host.active -= 1
        self._enqueue(host)

    def drain(self, host: Host) -> list[Job]:
        """Take all jobs that wait for a host, to give them up."""
        jobs = [job for _, _, job in sorted(host.waiting)]
        host.waiting.clear()
        host.entry = None
        return jobs

    def _enqueue(self, host: Host) -> None:
        """Put a host into the queue, unless it stands there early enough or has nothing to start."""
        if host.active >= self._per_host or not host.waiting:
            return
        when = max(host.next_start, host.waiting[0][0])
        if host.entry is None or when < host.entry[0]:
            host.entry = (when, next(self._number))
            heapq.heappush(self._queue, (*host.entry, host))
