"""Compare the ids of millions of rows by their digests, which take less memory than the ids."""

import hashlib
from collections.abc import Sequence

import numpy as np

from mella_hf.metrics.predictions.stored_rows import Row


def id_digests(rows: Sequence[Row]) -> np.ndarray:
    """[n] digests of the ids of rows."""
    digests = bytearray()
    for row in rows:
        digests += hashlib.blake2b(row["id"].encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.frombuffer(digests, dtype="S16")


def positions(wanted: np.ndarray, among: np.ndarray) -> np.ndarray:
    """[n] where each of the wanted digests stands among the others; -1 where nowhere."""
    order = np.argsort(among)
    found = order[np.minimum(np.searchsorted(among, wanted, sorter=order), len(among) - 1)]
    return np.where(among[found] == wanted, found, -1)


def first_repeated(digests: np.ndarray) -> tuple[int, int] | None:
    """The first place at which a digest comes again, after the place where it stood before; None if none does."""
    order = np.argsort(digests, kind="stable")
    again = np.flatnonzero(digests[order[1:]] == digests[order[:-1]])
    if not len(again):
        return None
    pair = again[np.argmin(order[again + 1])]
    return int(order[pair]), int(order[pair + 1])


def first_few(names: list[str]) -> str:
    """Some of many names, for a message."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
