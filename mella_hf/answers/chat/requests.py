"""The requests of one call to chat servers: which wait, which failed and why."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mella_hf.answers.chat.replies import Completion, Fault

SAME = 3  # how often a server must say the same thing before it is believed


class Failure(str):
    """Why a request has no answer: a reason fit for counting, such as "status_400".

    Attributes:
        said: the beginning of what the server said, or "".
    """

    said: str

    def __new__(cls, reason: str, said: str = "") -> "Failure":
        """Make a reason that remembers what the server said."""
        made = super().__new__(cls, reason)
        made.said = said
        return made


def reasons(failed: Iterable[str]) -> str:
    """Each reason once, with what servers said, for an error message."""
    return ", ".join(sorted({f"{reason}{getattr(reason, 'said', '')}" for reason in failed}))


@dataclass
class RequestRun:
    """The requests of one call and their state."""

    count: int
    request: Callable[[int], Mapping[str, Any]]
    on_answer: Callable[[int, Completion], None]
    waiting: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    attempts: dict[int, int] = field(default_factory=dict)
    failed: dict[int, Failure] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    last_fault: str = ""
    answered: int = 0
    said: dict[int, list[str]] = field(default_factory=dict)  # faults of a request, with what the server said
    refused: dict[tuple[str, str], set[int]] = field(default_factory=dict)  # fault -> requests that met it

    def __post_init__(self) -> None:
        for index in range(self.count):
            self.waiting.put_nowait(index)

    def keep(self, index: int, answer: Completion) -> None:
        """Pass an answer on."""
        self.on_answer(index, answer)
        self.answered += 1
        self._check()

    def says_the_same(self, index: int, fault: Fault) -> bool:
        """Whether a request was answered with the same error in the same words `SAME` times in a row."""
        if fault.busy or not fault.detail:
            return False
        said = self.said.setdefault(index, [])
        said.append(f"{fault.reason}{fault.detail}")
        return len(said) >= SAME and len(set(said[-SAME:])) == 1

    def give_up(self, index: int, reason: Failure) -> None:
        """Leave a request without an answer."""
        self.failed[index] = reason
        self._check()

    def _check(self) -> None:
        if self.answered + len(self.failed) == self.count:
            self.finished.set()
