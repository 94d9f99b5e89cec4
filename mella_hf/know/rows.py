"""Process one row of foreign data. An error or a timeout drops this row with a reason; the run goes on."""

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from mella_hf.errors import MellaError

ROW_SECONDS = 60.0  # of CPU; a page takes about a millisecond, a large photograph a second
ROW_BYTES = 1 << 30  # that one row may take; a page of 16 MiB with a tag every ten characters takes a third of it
_LOOK_SECONDS = 0.5  # between two looks of the watcher of threads


class RowFailed(Exception):
    """A row is of no use. `reason` is fit for counting, `detail` says more to people."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class _TookTooLong(BaseException):
    """The time of a row is over. A BaseException, so that no `except Exception` on the way keeps the row alive."""


@contextmanager
def one_row(kind: str, seconds: float = ROW_SECONDS) -> Iterator[None]:
    """Run the body for one row, within its time.

    Args:
        kind: what the row is, such as "page"; the reasons begin with it.
        seconds: of CPU in a process's main thread, of the clock in any other thread.

    Raises:
        RowFailed: `{kind}_too_slow`; or `{kind}_error_{name}` for any exception but RowFailed and the library's own
            MellaErrors, which are raised as they are.
    """
    try:
        with _in_time(seconds):
            yield
    except _TookTooLong:
        raise RowFailed(f"{kind}_too_slow", f"over {seconds:g} s") from None
    except (MellaError, RowFailed):
        raise
    except Exception as error:  # any: a stranger's bytes raise what nobody thought of, and one row ends nothing
        raise RowFailed(f"{kind}_error_{type(error).__name__}", str(error)[:500]) from error


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    if threading.current_thread() is threading.main_thread():
        with _timer(seconds):
            yield
    else:  # signals reach main threads only; workers of a cluster run rows in others
        with _Watcher.of_process().watch(seconds):
            yield


@contextmanager
def _timer(seconds: float) -> Iterator[None]:
    """Raise _TookTooLong after so much CPU time of this process; a regular expression is interrupted too."""
    before = signal.signal(signal.SIGPROF, _ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _ring(number: int, frame: object) -> None:
    raise _TookTooLong


@contextmanager
def in_memory(kind: str, size: int = ROW_BYTES) -> Iterator[None]:
    """Let the body take so many bytes of memory and no more, where the system can be told so (Linux).

    The limit is the process's. Threads that run rows side by side share it, and the first to end takes it away.

    Raises:
        RowFailed: `{kind}_too_large`.
    """
    usual = _usual_limit()
    try:
        if usual is not None:
            import resource

            with open("/proc/self/statm", "rb", buffering=0) as file:
                most = int(file.read(64).split()[0]) * resource.getpagesize() + size
            soft = most if usual[0] == resource.RLIM_INFINITY else min(most, usual[0])
            resource.setrlimit(resource.RLIMIT_AS, (soft, usual[1]))
        yield
    except MemoryError:
        raise RowFailed(f"{kind}_too_large", f"reading it takes over {size >> 20:,} MiB of memory") from None
    finally:
        if usual is not None:
            resource.setrlimit(resource.RLIMIT_AS, usual)


@cache
def _usual_limit() -> tuple[int, int] | None:
    """The limit of this process's memory before any row; None where there is no way to set one."""
    if not Path("/proc/self/statm").exists():
        return None
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)


class _Watcher:
    """A thread that raises _TookTooLong in other threads when their time is over."""

    _one: "_Watcher | None" = None
    _making = threading.Lock()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[int, float] = {}  # by thread
        threading.Thread(target=self._run, name="rows", daemon=True).start()

    @classmethod
    def of_process(cls) -> "_Watcher":
        """The one of this process."""
        with cls._making:
            if cls._one is None:
                cls._one = cls()
            return cls._one

    @contextmanager
    def watch(self, seconds: float) -> Iterator[None]:
        """Give this thread so many seconds for the body."""
        thread = threading.get_ident()
        with self._lock:
            self._ends[thread] = time.monotonic() + seconds
        try:
            yield
        finally:
            with self._lock:  # after it, nothing is raised here any more
                self._ends.pop(thread, None)

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                late = [thread for thread, end in self._ends.items() if end < time.monotonic()]
                for thread in late:
                    del self._ends[thread]
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_TookTooLong))
