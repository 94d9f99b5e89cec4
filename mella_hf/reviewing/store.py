"""Store reviewers' decisions in an append-only SQLite file that survives a crash at any moment.

A reviewer who changes their mind adds a decision; the newest decision of a reviewer on a sample counts. Only the sha256
of a token is stored.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.faults import fault_line

VERDICTS = ("accept", "edit", "reject")  # of translations; to skip is not a verdict
CHOICES = ("first", "second", "tie")  # of a blind comparison, the sides named as in the comparison, not as shown
UNDO = "undo"  # takes a reviewer's standing decision on a sample back
ACTIONS = (*VERDICTS, *CHOICES, "skip", UNDO)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reviewers (
  name TEXT NOT NULL, token_sha256 TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
  sample TEXT NOT NULL, language TEXT NOT NULL, reviewer TEXT NOT NULL,
  action TEXT NOT NULL, text TEXT, reason TEXT, shown TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS decisions_of ON decisions (sample, language, reviewer);
CREATE TRIGGER IF NOT EXISTS reviewers_stay BEFORE UPDATE ON reviewers BEGIN SELECT RAISE(ABORT, 'only added to'); END;
CREATE TRIGGER IF NOT EXISTS reviewers_kept BEFORE DELETE ON reviewers BEGIN SELECT RAISE(ABORT, 'only added to'); END;
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'only added to'); END;
CREATE TRIGGER IF NOT EXISTS decisions_kept BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'only added to'); END;
"""


@dataclass(frozen=True)
class Decision:
    """A reviewer's decision about a sample.

    Attributes:
        sample: the sample's id.
        action: one of `ACTIONS`.
        text: the edited text, for `edit`.
        reason: why, for `reject`.
        shown: sha256 of the text that the reviewer saw, so that a decision never applies to another text.
        at: time in UTC, ISO 8601.
    """

    sample: str
    language: str
    reviewer: str
    action: str
    text: str | None = None
    reason: str | None = None
    shown: str = ""
    at: str = ""


_NAMES = tuple(f.name for f in fields(Decision))
_values = attrgetter(*_NAMES)


def text_hash(text: str) -> str:
    """What `Decision.shown` holds for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class ReviewStore:
    """The decisions and reviewers of a queue, in one file.

    Args:
        path: the SQLite file; it is made when it is missing.
        read_only: write nothing, not even a missing file, which then holds no decision.

    Raises:
        MellaError: when the file does not hold decisions.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False):
        self.path = Path(path)
        try:
            self._db = self._open(read_only)
            if not read_only:
                self._upgrade()
            self._db.execute("SELECT 1 FROM decisions, reviewers LIMIT 1")
        except sqlite3.DatabaseError as error:
            line = fault_line(error)
            if line is not None:  # the machine's fault, not the file's
                raise MellaError(f"The file of decisions {self.path}: {line}") from error
            raise MellaError(
                f"{self.path} is not a file of decisions ({error}); give another one with --state."
            ) from error

    def _open(self, read_only: bool) -> sqlite3.Connection:
        if not read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")  # a decision that was acknowledged survives a power cut
            db.executescript(_SCHEMA)
            return db
        if self.path.exists():
            return sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.executescript(_SCHEMA)
        return db

    def _upgrade(self) -> None:
        """Move decisions of an older file, whose table refuses actions that came later, to a table of today."""
        (made,) = self._db.execute("SELECT sql FROM sqlite_master WHERE name = 'decisions'").fetchone()
        if "CHECK" not in made:
            return
        steps = (
            "DROP TRIGGER decisions_stay",
            "DROP TRIGGER decisions_kept",
            "DROP INDEX IF EXISTS decisions_of",
            "ALTER TABLE decisions RENAME TO decisions_before",
            *(statement for statement in _SCHEMA.split(";\n") if "EXISTS decisions" in statement),
            "INSERT INTO decisions SELECT * FROM decisions_before ORDER BY rowid",
            "DROP TABLE decisions_before",
        )
        with self._transaction():
            for step in steps:
                self._db.execute(step)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, whatever is raised inside."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:  # raised again; an open transaction would refuse every later decision
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add_reviewer(self, name: str) -> str:
        """Create a new token for a reviewer and return it. It cannot be read again; the old token stops working."""
        if not name.strip() or len(name) > 80 or not name.isprintable():
            raise MellaError(f"{name!r} is not a valid name; give 1 to 80 printable characters.")
        token = secrets.token_urlsafe(24)
        digest = hashlib.sha256(token.encode()).hexdigest()
        self._db.execute("INSERT INTO reviewers VALUES (?, ?, ?)", (name, digest, _now()))
        return token

    def reviewers(self) -> list[str]:
        """Names of the reviewers, oldest first."""
        return list(dict.fromkeys(name for (name,) in self._db.execute("SELECT name FROM reviewers ORDER BY rowid")))

    def who(self, token: str) -> str | None:
        """The reviewer with this token; compared in constant time."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        newest = dict(self._db.execute("SELECT name, token_sha256 FROM reviewers ORDER BY rowid"))
        found = None
        for name, known in newest.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def add(self, decisions: Iterable[Decision]) -> int:
        """Add all decisions or none, and return how many are new. They are on disk when this returns.

        Raises:
            MellaError: for an unknown action, an edit without a text or a rejection without a reason.
        """
        rows = [_values(_checked(decision)) for decision in decisions]
        equal = " AND ".join(f"{name} IS ?{number}" for number, name in enumerate(_NAMES, 1))
        known = f"SELECT 1 FROM decisions WHERE {equal}"
        add = f"INSERT INTO decisions SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS ({known})"
        with self._transaction():
            before = self._db.total_changes
            self._db.executemany(add, rows)  # those that were imported before are not added again
            return self._db.total_changes - before

    def history(self) -> list[Decision]:
        """Every decision there ever was, oldest first."""
        return [decision for _, decision in self.since(0)]

    def since(self, number: int) -> list[tuple[int, Decision]]:
        """(number, decision) of the decisions after a number, oldest first; another process may have added them."""
        rows = self._db.execute("SELECT rowid, * FROM decisions WHERE rowid > ? ORDER BY rowid", (number,))
        return [(row[0], Decision(*row[1:])) for row in rows]

    def standing(self) -> list[Decision]:
        """The newest decision of each reviewer on each sample, oldest first."""
        newest: dict[tuple[str, str, str], Decision] = {}
        for decision in self.history():
            key = (decision.sample, decision.language, decision.reviewer)
            newest.pop(key, None)
            if decision.action != UNDO:
                newest[key] = decision
        return list(newest.values())


def _checked(decision: Decision) -> Decision:
    if decision.action not in ACTIONS:
        raise MellaError(f"Unknown action {decision.action!r}; choose among {', '.join(ACTIONS)}.")
    for name in _NAMES:
        value = getattr(decision, name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise MellaError(f"The {name} of a decision on {decision.sample!r} is {value!r}; it must be a text.")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise MellaError(
                f"The {name} of the decision on {decision.sample!r} has half of a character (a lone surrogate, as "
                "pasting may leave it); delete it or type it again."
            ) from error
    if decision.action == "edit" and not (decision.text or "").strip():
        raise MellaError(f"The edit of {decision.sample} has no text; reject the sample instead, with a reason.")
    if decision.action == "reject" and not (decision.reason or "").strip():
        raise MellaError(f"The rejection of {decision.sample} has no reason; give one.")
    if decision.at:
        return decision
    return replace(decision, at=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
