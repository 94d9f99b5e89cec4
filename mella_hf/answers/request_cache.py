"""Cache of paid requests: a captioner or translation service is asked only once per request.

One SQLite file holds captions and translations. An answer is on disk before its thread sends the next request, so after
a kill only the requests in flight are sent again.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType

from mella_hf.errors import MellaError
from mella_hf.faults import fault_line

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    service TEXT NOT NULL, version TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
    question BLOB NOT NULL, answer TEXT NOT NULL, answered_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (service, version, source, target, question)
) WITHOUT ROWID"""
_KEY = "service = ? AND version = ? AND source = ? AND target = ? AND question = ?"
_BUSY = 60.0  # seconds to wait while another process writes


@dataclass(frozen=True)
class Asked:
    """The part of a key that all questions of a run share: who is asked for what.

    Attributes:
        service, version: name and version of the translator or captioner.
        source, target: language codes; the source of a caption is "image".
    """

    service: str
    version: str
    source: str
    target: str


class RequestCache:
    """Answers by (service, version, source, target, question), on disk. Threads can share it."""

    def __init__(self, path: Path | str):
        """Open or create the file. Raises MellaError if it is not an SQLite file."""
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(self.path, timeout=_BUSY, check_same_thread=False, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")  # an answer costs more than a disk write
            self._connection.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            line = fault_line(error)
            if line is not None:  # the machine's fault, not the file's
                raise MellaError(f"The request cache {self.path}: {line}") from error
            raise MellaError(
                f"The request cache {self.path} cannot be read ({error}); move it away to start a new one, "
                "but then everything is asked and paid for again."
            ) from error

    def get(self, asked: Asked, question: str) -> str | None:
        """The stored answer, or None."""
        with self._lock:
            row = self._connection.execute(
                f"SELECT answer FROM answers WHERE {_KEY}", (*astuple(asked), _digest(question))
            ).fetchone()
        return None if row is None else str(row[0])

    def put(self, asked: Asked, answers: Mapping[str, str]) -> None:
        """Store answers by question; they are on disk when this returns."""
        rows = [(*astuple(asked), _digest(question), answer) for question, answer in answers.items()]
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR REPLACE INTO answers (service, version, source, target, question, answer) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._connection.execute("COMMIT")

    def last_version(self, service: str, source: str) -> str | None:
        """The version of a service that answered last, or None."""
        with self._lock:
            row = self._connection.execute(
                "SELECT version FROM answers WHERE service = ? AND source = ? ORDER BY answered_at DESC LIMIT 1",
                (service, source),
            ).fetchone()
        return None if row is None else str(row[0])

    def __len__(self) -> int:
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Close the file; stored answers remain."""
        self._connection.close()

    def __enter__(self) -> "RequestCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _digest(question: str) -> bytes:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()
