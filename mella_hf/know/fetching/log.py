"""The log of a fetch: every attempt, and the state from which an interrupted fetch continues.

There is one SQLite file per shard.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from mella_hf.errors import MellaError, StageError
from mella_hf.faults import fault_line
from mella_hf.know.fetching.robots import Policy
from mella_hf.know.records import FETCHED

# The rollback journal, not WAL: bodies are new pages, which it does not copy. Exclusive: one run at a time.
_SETUP = """
PRAGMA page_size=16384; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=NORMAL;
"""
_TABLES = """
CREATE TABLE IF NOT EXISTS attempts (
    url TEXT, target TEXT, at REAL, status INTEGER, reason TEXT, bytes INTEGER, seconds REAL);
CREATE TABLE IF NOT EXISTS results (
    url TEXT PRIMARY KEY, final_url TEXT, status INTEGER, reason TEXT, overridden TEXT, kind TEXT, content_type TEXT,
    content_language TEXT, x_robots_tag TEXT, etag TEXT, last_modified TEXT, fetched_at REAL, body BLOB);
CREATE TABLE IF NOT EXISTS policies (
    origin TEXT PRIMARY KEY, at REAL, robots TEXT, tdm TEXT, ai TEXT, licences TEXT);
CREATE TABLE IF NOT EXISTS hosts (name TEXT PRIMARY KEY, not_before REAL);
CREATE TABLE IF NOT EXISTS settings (value TEXT);
"""
_RESULT = (
    "url", "final_url", "status", "reason", "overridden", "kind", "content_type", "content_language", "x_robots_tag",
    "etag", "last_modified", "fetched_at", "body",
)  # fmt: skip
COMMIT_SECONDS = 1.0  # of work that a killed run repeats


class Known(NamedTuple):
    """The result of a URL: why it failed (None where there is a body), when, and the validators of its body."""

    reason: str | None
    fetched_at: float
    etag: str | None
    last_modified: str | None


class FetchLog:
    """The log of one shard. Times are seconds since the epoch.

    Args:
        path: the SQLite file; made where it is missing.
        settings: what a result depends on; after a change, failures are no longer final.

    Raises:
        StageError: another run holds the file.
    """

    def __init__(self, path: Path, settings: str = ""):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        try:
            self._database.executescript(_SETUP + _TABLES)
        except sqlite3.OperationalError as error:
            self._database.close()
            line = fault_line(error)
            if line is not None:
                raise MellaError(f"{path}: {line}") from error
            raise StageError(
                f"{path} cannot be opened ({error}); another run may be working on it. Let it end."
            ) from error
        self._begin()
        if self._database.execute("SELECT value FROM settings").fetchone() != (settings,):
            self._database.execute("DELETE FROM settings")
            self._database.execute("INSERT INTO settings VALUES (?)", (settings,))
            self._database.execute("DELETE FROM results WHERE reason IS NOT NULL OR overridden IS NOT NULL")
            self._database.execute("DELETE FROM policies")  # licences are read only where they are honoured
            self.commit()

    def _begin(self) -> None:
        self._database.execute("BEGIN")
        self._committed = time.monotonic()

    def commit(self) -> None:
        """Make what was written so far safe."""
        self._database.execute("COMMIT")
        self._begin()

    def close(self) -> None:
        """Commit and close."""
        self._database.execute("COMMIT")
        self._database.close()

    def attempt(
        self, url: str, target: str, status: int | None, reason: str | None, size: int, at: float, seconds: float
    ) -> None:
        """Note one request: `reason` is None when it brought a body."""
        row = (url, target, at, status, reason, size, seconds)
        self._database.execute("INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()

    def result(self, **columns: Any) -> None:
        """Note what became of a URL; replaces what was known. Columns as in `results`; absent ones are null."""
        marks = ", ".join("?" * len(_RESULT))
        row = tuple(columns.get(name) for name in _RESULT)
        self._database.execute(f"INSERT OR REPLACE INTO results VALUES ({marks})", row)

    def unchanged(self, url: str, at: float) -> None:
        """A body that the log holds is still that of the URL (304)."""
        self._database.execute("UPDATE results SET fetched_at = ? WHERE url = ?", (at, url))

    def adopt(self, published: Path) -> None:
        """Take the bodies of a shard's earlier output back in, before they are replaced by the new one."""
        for batch in pq.ParquetFile(published).iter_batches(64):
            for row in batch.to_pylist():
                if row["body"] is not None:
                    at = row["fetched_at"].timestamp()
                    self._database.execute(
                        "UPDATE results SET body = ? WHERE url = ? AND body IS NULL AND reason IS NULL"
                        " AND fetched_at <= ? + 0.001",
                        (row["body"], row["url"], at),
                    )
            self.commit()

    def known(self, url: str) -> Known | None:
        """What became of a URL, or None when nothing did or its body is lost."""
        found = self._database.execute(
            "SELECT reason, fetched_at, etag, last_modified FROM results"
            " WHERE url = ? AND (reason IS NOT NULL OR body IS NOT NULL)",
            (url,),
        ).fetchone()
        return Known(*found) if found else None

    def rows(self, urls: Iterable[str]) -> Iterator[tuple[dict[str, Any], str | None]]:
        """For each URL, its row of FETCHED and the opt-out that was overridden, if any."""
        for url in urls:
            values = self._database.execute("SELECT * FROM results WHERE url = ?", (url,)).fetchone()
            result = dict(zip(_RESULT, values, strict=True))
            row = {name: result.get(name) for name in FETCHED.names}
            row["bytes"] = len(result["body"]) if result["body"] is not None else None
            row["fetched_at"] = datetime.fromtimestamp(result["fetched_at"], UTC)
            yield row, result["overridden"]

    def forget_bodies(self) -> None:
        """Give the disk back once the rows are written elsewhere."""
        self._database.execute("UPDATE results SET body = NULL")
        self._database.execute("COMMIT")
        self._database.execute("VACUUM")
        self._begin()

    def policy(self, origin: str, oldest: float) -> Policy | None:
        """What an origin said, if it was asked after `oldest`."""
        found = self._database.execute(
            "SELECT robots, tdm, ai, licences FROM policies WHERE origin = ? AND at >= ?", (origin, oldest)
        ).fetchone()
        return Policy(*found) if found else None

    def keep_policy(self, origin: str, policy: Policy, at: float) -> None:
        """Remember what an origin said."""
        row = (origin, at, *policy)
        self._database.execute("INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?, ?, ?)", row)

    def not_before(self) -> dict[str, float]:
        """Hosts that asked to be left alone, and until when."""
        return dict(self._database.execute("SELECT name, not_before FROM hosts"))

    def wait_for(self, host: str, until: float) -> None:
        """Remember that a host asked to be left alone."""
        self._database.execute("INSERT OR REPLACE INTO hosts VALUES (?, ?)", (host, until))
        self.commit()
