"""Store reviewers' decisions in an append-only SQLite file that survives a crash at any moment.

A reviewer who changes their mind adds a decision; the newest decision of a reviewer on a sample counts. Only the sha256
of a token is stored.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from mella_hf.errors import MellaError

VERDICTS = ("accept", "edit", "reject")  # about translations; skip is not a verdict
CHOICES = ("first", "second", "tie")  # in a blind comparison; first and second as in the comparison, not as shown
ACTIONS = (*VERDICTS, *CHOICES, "skip")

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS reviewers (
  name TEXT NOT NULL, token_sha256 TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
  sample TEXT NOT NULL, language TEXT NOT NULL, reviewer TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN {ACTIONS}), text TEXT, reason TEXT, shown TEXT NOT NULL, at TEXT NOT NULL);
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


def text_hash(text: str) -> str:
    """The value of `Decision.shown` for a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class ReviewStore:
    """The decisions and reviewers of a queue, in one file."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")  # an acknowledged decision survives a power failure
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise MellaError(
                f"{self.path} is not a file of decisions ({error}); give another one with --state."
            ) from error

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
        rows = [_checked(decision) for decision in decisions]
        new = 0
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                equal = " AND ".join(f"{f.name} IS ?" for f in fields(Decision))
                if self._db.execute(f"SELECT 1 FROM decisions WHERE {equal}", tuple(asdict(row).values())).fetchone():
                    continue  # imported before
                self._db.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(asdict(row).values()))
                new += 1
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._db.execute("ROLLBACK")
            raise
        return new

    def history(self) -> list[Decision]:
        """All decisions ever made, oldest first."""
        return [Decision(*row) for row in self._db.execute("SELECT * FROM decisions ORDER BY rowid")]

    def standing(self) -> list[Decision]:
        """The newest decision of each reviewer on each sample, oldest first."""
        newest: dict[tuple[str, str, str], Decision] = {}
        for decision in self.history():
            key = (decision.sample, decision.language, decision.reviewer)
            newest.pop(key, None)
            newest[key] = decision
        return list(newest.values())


def _checked(decision: Decision) -> Decision:
    if decision.action not in ACTIONS:
        raise MellaError(f"Unknown action {decision.action!r}; choose among {', '.join(ACTIONS)}.")
    if decision.action == "edit" and not (decision.text or "").strip():
        raise MellaError(f"The edit of {decision.sample} has no text; reject the sample instead, with a reason.")
    if decision.action == "reject" and not (decision.reason or "").strip():
        raise MellaError(f"The rejection of {decision.sample} has no reason; give one.")
    if decision.at:
        return decision
    return Decision(**{**asdict(decision), "at": _now()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
