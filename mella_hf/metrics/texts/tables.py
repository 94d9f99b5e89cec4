"""Compact tables of statistics: a number takes as few bytes as it needs, often one instead of eight."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

BLOCK = 20_000  # rows that are 64-bit numbers at a time: some 20 MB
_TYPES = (np.uint8, np.uint16, np.uint32, np.float64)  # smallest first; each holds what those before it hold
_MOST = np.array([np.iinfo(kind).max for kind in _TYPES[:-1]], dtype=np.float64)


class NumberTable(Protocol):
    """[n, k] numbers of which slices can be taken: an array, or a table that makes them when they are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


class Compact:
    """[n, k] numbers, written some rows at a time; each column is stored in the smallest type that holds it exactly.

    `compact[rows]` is an array of 64-bit numbers, for a slice or an array of indices.
    """

    def __init__(self, rows: int, columns: int):
        self._columns = [np.zeros(rows, dtype=_TYPES[0]) for _ in range(columns)]
        self._kinds = np.zeros(columns, dtype=np.intp)  # places in _TYPES
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self._columns)

    def write(self, places: np.ndarray, rows: np.ndarray) -> None:
        """Write rows [m, k] to the m places."""
        whole = ((rows == np.floor(rows)) & (rows >= 0)).all(axis=0)
        kinds = np.where(whole, np.searchsorted(_MOST, rows.max(axis=0)), len(_MOST))
        for at in np.flatnonzero(kinds > self._kinds):
            self._columns[at] = self._columns[at].astype(_TYPES[kinds[at]])
        self._kinds = np.maximum(self._kinds, kinds)
        for column, values in zip(self._columns, rows.T, strict=True):
            column[places] = values

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        return self.part(slice(None), rows)

    def part(self, columns: slice, rows: slice | Sequence[int] | np.ndarray = slice(None)) -> np.ndarray:
        """Some of the columns, [m, width of the slice]."""
        chosen = [column[rows] for column in self._columns[columns]]
        array = np.empty((len(chosen[0]) if chosen else 0, len(chosen)))
        for at, values in enumerate(chosen):
            array[:, at] = values
        return array

    def take(self, rows: np.ndarray) -> "Compact":
        """A table of some of the rows, in this order."""
        taken = Compact(0, 0)
        taken._columns = [column[rows] for column in self._columns]
        taken._kinds, taken._rows = self._kinds.copy(), len(rows)
        return taken


class JoinedTables:
    """The columns of several tables beside each other, with the rows in the given order."""

    def __init__(self, tables: Sequence[Compact], order: np.ndarray):
        self._tables, self._order = tables, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, rows: slice) -> np.ndarray:
        members = self._order[rows]
        return np.hstack([table[members] for table in self._tables])


def blocks(table: NumberTable) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of a table as 64-bit numbers, some at a time, and where they stand."""
    for start in range(0, len(table), BLOCK):
        place = slice(start, start + BLOCK)
        yield place, table[place]


def column_sums(table: NumberTable) -> np.ndarray:
    """[k] the sum of each column, one row after the other, so that blocks do not change it."""
    total: np.ndarray | None = None
    for _, rows in blocks(table):
        total = rows.sum(axis=0) if total is None else np.vstack((total, rows)).sum(axis=0)
    assert total is not None
    return total
