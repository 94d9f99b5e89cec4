"""Intervals and p-values for scores and differences, by bootstrap and permutation.

Images are resampled, not scores: each resample sums the statistics of the images it drew, and the scores are computed
from the sums. NumPy's maintainers keep its legacy generator frozen, so a seed gives the same resamples everywhere.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics.texts.tables import NumberTable, blocks, column_sums

RESAMPLES = 1000  # Koehn (2004) and sacrebleu
SEED = 12345  # sacrebleu's
CONFIDENCE = 0.95
_TIE = 1e-9  # points: two ways to sum the same statistics differ by less
PER_TEST = 100  # resamples for each test of a family
_BLOCK = 100  # resamples at a time, at most
_BLOCK_DRAWS = 2_000_000  # images drawn at a time, at most: 16 MB of indices, whatever the number of images
_HELD = 32_000_000  # weights of images that are held for one walk through the statistics: 64 MB


def resamples_for(tests: int) -> int:
    """How many resamples a family of `tests` tests needs, so that Holm's correction can find something.

    With r resamples no p-value is below 1 / (r + 1), which Holm multiplies by the number of tests: 1,000 resamples
    cannot show anything in 64 tests. Here the smallest corrected p-value is 0.01, and 5 of r resamples are at the 5%
    level, so that the draw decides little.
    """
    return max(RESAMPLES, PER_TEST * tests)


def bootstrap_sums(statistics: NumberTable, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Sums [resamples, k] of the statistics [n, k] of n images drawn with replacement."""
    n = len(statistics)
    random = np.random.RandomState(seed)

    def drawn(size: int) -> np.ndarray:
        """[size, n] how often each image was drawn."""
        images = random.randint(n, size=(size, n)) + n * np.arange(size)[:, None]
        return np.bincount(images.ravel(), minlength=size * n).reshape(size, n)

    return _weighted_sums(statistics, resamples, drawn)


def swapped_sums(
    first: NumberTable, second: NumberTable, trials: int = RESAMPLES, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Sums [trials, k] of two systems' statistics [n, k] after swapping each image with probability 1/2."""
    random = np.random.RandomState(seed)
    moved = _weighted_sums(_Differences(first, second), trials, lambda size: random.randint(2, size=(size, len(first))))
    return column_sums(first) + moved, column_sums(second) - moved


class _Differences:
    """[n, k] what the second table has more than the first."""

    def __init__(self, first: NumberTable, second: NumberTable):
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, rows: slice) -> np.ndarray:
        difference: np.ndarray = self._second[rows] - self._first[rows]
        return difference


def _weighted_sums(statistics: NumberTable, total: int, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """[total, k] sums of the statistics [n, k], with weights from `draw`, which makes [size, n] of them at a time."""
    n = len(statistics)
    sums = []
    for size in _sizes(total, min(_BLOCK, _HELD // max(n, 1))):
        weights = np.empty((size, n), dtype=np.uint16)  # no image is drawn 65,536 times
        start = 0
        for part in _sizes(size, min(_BLOCK, _BLOCK_DRAWS // max(n, 1))):
            weights[start : start + part] = draw(part)
            start += part
        sums.append(sum(weights[:, place].astype(np.float64) @ rows for place, rows in blocks(statistics)))
    return np.concatenate(sums)


def flipped_sums(differences: np.ndarray, trials: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Sums [trials] of differences [n] of which each one changes its sign with probability 1/2."""
    random = np.random.RandomState(seed)
    kept = [
        random.randint(2, size=(size, len(differences))) @ differences
        for size in _sizes(trials, min(_BLOCK, _BLOCK_DRAWS // max(len(differences), 1)))
    ]
    sums: np.ndarray = differences.sum() - 2.0 * np.concatenate(kept)
    return sums


def interval(scores: np.ndarray) -> tuple[float, float]:
    """The central 95% of bootstrap scores. A resample without the statistic (no image with keywords) does not count."""
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.nanquantile(scores, [tail, 1.0 - tail])
    return float(low), float(high)


def bootstrap_p_value(differences: np.ndarray, difference: float) -> float:
    """Paired bootstrap: how often a resampled difference strays from its mean by the observed one or more.

    Two-sided, with one added to both counts. (sacrebleu's `paired_bs` counts the upper tail only.)
    """
    strays = np.abs(differences - np.nanmean(differences))
    return _p_value(strays, difference)


def randomization_p_value(differences: np.ndarray, difference: float) -> float:
    """Approximate randomisation: how often swapping outputs makes a difference as large as the observed one.

    Two-sided, with one added to both counts (Riezler and Maxwell 2005). (sacrebleu's `paired_ar` leaves out ties,
    so one answer that differs is significant there.)
    """
    return _p_value(np.abs(differences), difference)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct the p-values of several tests, so that the chance of any false positive stays at the level.

    Holm (1979), "A simple sequentially rejective multiple test procedure": the k-th smallest of m is multiplied by
    m - k + 1, made no smaller than the one before, and cut at 1. Valid however the tests depend on each other.

    Args:
        p_values: one a test, in [0, 1]; None for a test that does not exist, which stays None and does not count.

    Raises:
        MellaError: on a value outside [0, 1].
    """
    for at, value in enumerate(p_values):
        if value is not None and not 0.0 <= value <= 1.0:
            raise MellaError(f"The p-value of test {at} is {value!r}; it must be in [0, 1], or None without a test.")
    ranked = sorted((value, at) for at, value in enumerate(p_values) if value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    floor = 0.0
    for rank, (value, at) in enumerate(ranked):
        floor = max(floor, min(1.0, value * (len(ranked) - rank)))
        corrected[at] = floor
    return corrected


def _p_value(strays: np.ndarray, difference: float) -> float:
    # At least as large, within rounding: where few images differ, most trials tie with what was observed.
    return (int(np.count_nonzero(strays >= abs(difference) - _TIE)) + 1) / (len(strays) + 1)


def _sizes(total: int, most: int) -> Iterator[int]:
    """Sizes of the blocks that the resamples are drawn in; the draws are the same whatever the sizes."""
    block = max(1, most)
    for start in range(0, total, block):
        yield min(block, total - start)
