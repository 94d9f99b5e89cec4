"""An event loop whose clock runs only while it waits, so that time limits hold however busy the machine is."""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any

STEP = 0.05  # seconds; the most that one wait counts, even when the whole process was stopped meanwhile


class _Waits(selectors.DefaultSelector):
    """Adds up what was waited."""

    seconds = 0.0

    def select(self, timeout: float | None = None) -> Any:
        start = time.monotonic()
        ready = super().select(STEP if timeout is None else min(timeout, STEP))
        self.seconds += min(time.monotonic() - start, STEP)
        return ready


class PatientLoop(asyncio.SelectorEventLoop):
    """Its second is never shorter than a second, and a busy or stopped process does not age."""

    def __init__(self) -> None:
        self._waits = _Waits()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.seconds


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run` on a patient loop."""
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(main)
