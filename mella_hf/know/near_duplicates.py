"""Choose one row for each group of near-identical pictures: the one with the longest text."""

import numpy as np

from mella_hf.images.duplicates import near_pairs


def find_representatives(hashes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The row kept for each row: itself, or one with a hash at most four bits away.

    Of rows that show the same picture the one with the longest text is kept, of these the first. No two kept rows
    look alike, and every other row looks like the one that is kept for it; there are no chains of likeness.

    Equal bytes have equal hashes, so that this finds exact copies too.

    Args:
        hashes: perceptual hashes, [N] uint64.
        lengths: of the texts, [N].

    Returns:
        rows, [N] int64.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    values, first, place = np.unique(hashes[order], return_index=True, return_inverse=True)
    rank = np.argsort(first, kind="stable")  # values by the best row that has them
    best = np.arange(len(values))  # in that order, the value that is kept for each
    for later, earlier in _near_earlier(values[rank]):
        if best[earlier] == earlier and best[later] == later:
            best[later] = earlier
    position = np.empty(len(values), dtype=np.int64)  # of each value in that order
    position[rank] = np.arange(len(values))
    kept = np.empty(len(order), dtype=np.int64)
    kept[order] = order[first[rank][best[position[place]]]]
    return kept


def _near_earlier(values: np.ndarray) -> list[list[int]]:
    """(later, earlier) for all pairs of near values, by later, then earlier: a verdict needs those before it."""
    pairs = [np.stack([np.maximum(a, b), np.minimum(a, b)], axis=1) for a, b in near_pairs(values)]
    found = np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs])
    return np.unique(found, axis=0).tolist()
