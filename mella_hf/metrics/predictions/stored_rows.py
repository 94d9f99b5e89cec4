"""Keep rows in a temporary file instead of in memory, because a million answers are several gigabytes."""

import json
import os
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, overload

from mella_hf.metrics.texts.sequences import Lazy

Row = dict[str, Any]


class StoredRows(Sequence[Row]):
    """Rows that JSON can hold, written to a file without a name, which the system removes with the process.

    Processes that are forked can read them too.

    Args:
        rows: the first rows.
        folder: where the file is made; the system's temporary folder (`TMPDIR`) by default. It grows to about the
            size of the texts.

    Raises:
        OSError: when the file cannot be made or written, as on a full disk; it names the folder.
    """

    def __init__(self, rows: Iterable[Row] = (), folder: Path | None = None):
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as the rows
        except OSError as error:
            raise self._failed(error, folder) from error
        self._ends = array("Q", [0])
        self._folder, self._is_flushed = folder, True
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Add a row at the end."""
        line = json.dumps(row, default=str).encode("ascii")  # with escapes, which also hold half of a surrogate pair
        try:
            self._file.write(line)
        except OSError as error:
            raise self._failed(error, self._folder) from error
        self._ends.append(self._ends[-1] + len(line))
        self._is_flushed = False

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(f"There is no row {at} of {len(self)}.")
        if not self._is_flushed:
            try:
                self._file.flush()
            except OSError as error:
                raise self._failed(error, self._folder) from error
            self._is_flushed = True
        start, end = self._ends[int(at) % len(self)], self._ends[int(at) % len(self) + 1]
        return json.loads(os.pread(self._file.fileno(), end - start, start))

    @staticmethod
    def _failed(error: OSError, folder: Path | None) -> OSError:
        """The error with the folder: a file without a name has none to show."""
        return OSError(error.errno, error.strerror, str(folder or tempfile.gettempdir()))

    def column(self, key: str, default: Any = None) -> Sequence[Any]:
        """The values at a key, `default` where a row has none or None; each is read when it is asked for."""

        def value(at: int) -> Any:
            found = self[at].get(key)
            return default if found is None else found

        return Lazy(len(self), value)

    def changed(self, rows: Iterable[Row]) -> "StoredRows":
        """Other rows, in the same folder."""
        return StoredRows(rows, self._folder)
