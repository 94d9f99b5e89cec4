"""The n-grams of a text as 64-bit keys, so that matches can be counted by sorting.

The second, third ... occurrence of an n-gram in a text has a key of its own. So the number of keys that two texts share
is the number of n-grams that they share, clipped as in BLEU and chrF. Keys are hashes: two different n-grams of a pair
of 2,000-character texts collide with a probability below 1e-12.
"""

from collections.abc import Iterator

import numpy as np

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
_SHIFT = np.uint64(29)
_FINALIZER = np.uint64(0xBF58476D1CE4E5B9)  # of splitmix64 (Steele et al. 2014)


def _mix(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> _SHIFT)) * _FINALIZER
    return values ^ (values >> _SHIFT)


def _numbered(keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Keys that also tell an n-gram's occurrences apart, in any order; and how many distinct n-grams there are."""
    if not len(keys):
        return keys, 0
    keys = np.sort(keys)
    changes = np.flatnonzero(keys[1:] != keys[:-1])
    edges = np.empty(len(changes) + 2, dtype=np.int64)  # where each n-gram begins and the last one ends
    edges[0], edges[1:-1], edges[-1] = 0, changes + 1, len(keys)
    starts = edges[:-1]
    if len(starts) < len(keys):
        occurrence = np.arange(len(keys)) - np.repeat(starts, edges[1:] - starts)
        keys += occurrence.astype(np.uint64) * _MULTIPLIER
    return keys, len(starts)


def ngram_keys(symbols: np.ndarray, max_order: int) -> Iterator[np.ndarray]:
    """For each order from 1 to `max_order`, a key for each n-gram in order; equal n-grams have equal keys.

    Args:
        symbols: [n] integers; equal symbols are equal numbers in all texts compared.
    """
    symbols = _mix((symbols.astype(np.uint64) + np.uint64(1)) * _MULTIPLIER)
    keys = symbols
    yield keys
    for order in range(2, max_order + 1):
        keys = _mix(keys[:-1] * _MULTIPLIER + symbols[order - 1 :]) if len(keys) else keys
        yield keys


class NGrams:
    """The n-grams of one sequence, orders 1 to `max_order`.

    Attributes:
        totals: [max_order] number of n-grams of each order.
        distinct: [max_order] number of different n-grams of each order.
    """

    __slots__ = ("_compared", "_keys", "distinct", "totals")

    def __init__(self, symbols: np.ndarray, max_order: int):
        """`symbols` is [n] non-negative integers; equal symbols are equal numbers in all texts compared."""
        self._keys: list[np.ndarray] = []
        self.distinct: list[int] = []
        for keys in ngram_keys(symbols, max_order):
            numbered, distinct = _numbered(keys)
            self._keys.append(numbered)
            self.distinct.append(distinct)
        self.totals = [len(keys) for keys in self._keys]
        self._compared: tuple[NGrams | None, list[int]] = (None, [])  # the last one, which other metrics ask for again

    def matches(self, other: "NGrams", max_order: int) -> list[int]:
        """[max_order] clipped matches: the sum of the smaller count of each shared n-gram."""
        before, found = self._compared
        if before is other and len(found) >= max_order:
            return found[:max_order]
        found = []
        for mine, theirs in zip(self._keys[:max_order], other._keys[:max_order], strict=True):
            both = np.concatenate((mine, theirs))
            both.sort()
            found.append(int(np.count_nonzero(both[1:] == both[:-1])))
        self._compared = other, found
        return found


def characters(text: str) -> np.ndarray:
    """A normalised text without its spaces as code points, [n]."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return codes[codes != ord(" ")]


def repetition(ngrams: NGrams, order: int) -> float:
    """1 - distinct-n: the share of n-grams that occurred before, in [0, 1]; 0 when there are none."""
    total: int = ngrams.totals[order - 1]
    return 1.0 - ngrams.distinct[order - 1] / total if total else 0.0
