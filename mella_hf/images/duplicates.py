"""Find rows that repeat an earlier image, by id or perceptual hash, in constant memory per row."""

from collections.abc import Iterator

import numpy as np

from mella_hf.images.phash import NEAR

_BANDS = NEAR + 1  # hashes at most NEAR bits apart agree in at least one of NEAR + 1 bands (pigeonhole)
_PAIRS = 1 << 20  # pairs compared at a time: 8 MB per array

KEPT, SAME_BYTES, SAME_PICTURE = 0, 1, 2


def find_duplicates(ids: np.ndarray, hashes: np.ndarray | None) -> np.ndarray:
    """Compare each row with the rows before it: KEPT, SAME_BYTES or SAME_PICTURE.

    A row is SAME_PICTURE when its hash is at most four bits from the hash of a row that is kept, so no
    two kept rows look alike. Later rows never change the verdict on earlier ones.

    Args:
        ids: sha256 digests, [N] of dtype S32.
        hashes: perceptual hashes, [N] uint64; None to compare bytes only.

    Returns:
        verdicts, [N] uint8.
    """
    verdict = np.full(len(ids), SAME_BYTES, dtype=np.uint8)
    first = _first_of_each(ids)
    verdict[first] = KEPT
    if hashes is None or not len(first):
        return verdict
    values, index = np.unique(hashes[first], return_index=True)  # [U], first position of each value
    order = np.argsort(index, kind="stable")
    values, index = values[order], index[order]  # in order of first appearance
    del order
    repeats = np.ones(len(first), dtype=bool)
    repeats[index] = False
    verdict[first[repeats]] = SAME_PICTURE
    verdict[first[index[_near_earlier(values)]]] = SAME_PICTURE
    # All other rows with a dropped or a kept value are already marked as repeats.
    return verdict


def _first_of_each(ids: np.ndarray) -> np.ndarray:
    """The rows whose digest did not occur before, in order. Sorts by eight bytes of the digest to save memory."""
    words = np.ascontiguousarray(ids).view(np.uint64).reshape(-1, 4)  # [N, 4]
    order = np.argsort(words[:, 0], kind="stable")
    again = np.zeros(len(ids), dtype=bool)
    runs = np.flatnonzero(words[order[1:], 0] == words[order[:-1], 0]) + 1  # positions that repeat the one before
    seen: dict[bytes, int] = {}
    for place in runs:
        before, row = order[place - 1], order[place]
        seen.setdefault(words[before].tobytes(), before)
        again[row] = seen.setdefault(words[row].tobytes(), row) != row
    return np.flatnonzero(~again)


def _near_earlier(values: np.ndarray) -> np.ndarray:
    """Whether each hash is near an earlier kept hash (one that is not near an earlier kept hash itself): [U] bool.

    Greedy in the order given; `values` are distinct.
    """
    later: list[np.ndarray] = []
    earlier: list[np.ndarray] = []
    for a, b in near_pairs(values):
        later.append(np.maximum(a, b))
        earlier.append(np.minimum(a, b))
    dropped = np.zeros(len(values), dtype=bool)
    if later:
        pairs = np.unique(np.stack([np.concatenate(later), np.concatenate(earlier)], axis=1), axis=0)
        for j, i in pairs.tolist():  # sorted by later row, so every verdict that it needs is final
            if not dropped[i]:
                dropped[j] = True
    return dropped


def near_pairs(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of positions whose hashes differ in at most `NEAR` bits, in blocks; a pair can occur more than once."""
    cuts = [64 * i // _BANDS for i in range(_BANDS + 1)]
    for low, high in zip(cuts, cuts[1:], strict=False):
        keys = ((values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)).astype(np.uint16)  # 12 or 13 bits
        order = np.argsort(keys, kind="stable")
        cuts_between = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, cuts_between):
            step = max(1, _PAIRS // max(1, len(bucket)))
            for row in range(0, len(bucket), step):
                block = bucket[row : row + step]
                distance = np.bitwise_count(values[block][:, None] ^ values[bucket][None, :])  # [B, len(bucket)]
                a, b = np.nonzero(distance <= NEAR)
                apart = block[a] < bucket[b]
                yield block[a][apart], bucket[b][apart]
