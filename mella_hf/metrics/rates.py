"""95% intervals and tests of rates: shares of hits, which the bootstrap gets wrong where hits are rare.

Resampling no hits gives no hits, so the bootstrap's interval of 0 of 30 is [0, 0]. The interval of Clopper and Pearson
(1934) holds at least 95% at any rate and any number of items.
"""

from typing import TypedDict

import numpy as np

from mella_hf.metrics.significance import CONFIDENCE, RESAMPLES, SEED, flipped_sums, randomization_p_value

FEW = 8  # items with a hit, or without one; below it, their scatter does not show how much the hits of an item agree


class RateDifference(TypedDict):
    """The difference between two systems' rates, second - first, in points from -100 to 100.

    Attributes:
        delta: with its 95% interval, `delta_low` and `delta_high`; all None if a system has a total of 0.
        p: of the paired test, two-sided.
    """

    delta: float | None
    delta_low: float | None
    delta_high: float | None
    p: float | None


NO_DIFFERENCE: RateDifference = {"delta": None, "delta_low": None, "delta_high": None, "p": None}


def rate_interval(hits: float, total: float) -> tuple[float, float]:
    """The 95% interval of hits / total, in [0, 1], for hits that are independent of each other.

    Args:
        hits, total: counts; fractions of a hit are allowed, which a reduced sample size brings.
    """
    from scipy.special import betaincinv

    tail = (1.0 - CONFIDENCE) / 2.0
    low = betaincinv(hits, total - hits + 1.0, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1.0, total - hits, 1.0 - tail) if hits < total else 1.0
    return float(low), float(high)


def clustered_rate_interval(hits: np.ndarray, totals: np.ndarray) -> tuple[float, float]:
    """The 95% interval of sum(hits) / sum(totals), in [0, 1], where the hits of one item may depend on each other.

    The sample size is the one at which independent hits would scatter as much as these items do (Korn and Graubard
    1998, "Confidence intervals for proportions with small expected number of positive counts"). Where too few items
    have a hit to tell, the hits of an item count as one.

    Args:
        hits, totals: [n] of each item; items with a total of 0 do not count. At least one has a larger total.
    """
    asked = totals > 0
    hits, totals = hits[asked], totals[asked]
    rate = float(hits.sum() / totals.sum())
    size = _sample_size(hits, totals, rate)
    return rate_interval(rate * size, size)


def _sample_size(hits: np.ndarray, totals: np.ndarray, rate: float) -> float:
    """The number of independent hits and misses that would scatter as much; at least one an item, at most all."""
    from scipy.special import stdtrit

    total, n = float(totals.sum()), len(totals)
    least = total**2 / float(np.square(totals).sum())  # all hits of an item are one
    if min(np.count_nonzero(hits), np.count_nonzero(hits < totals)) < FEW:
        return least
    variance = float(np.square(hits - rate * totals).sum()) * n / (n - 1) / total**2
    size = min(total, rate * (1.0 - rate) / variance) if variance else total
    upper = (1.0 + CONFIDENCE) / 2.0
    unsure = float(stdtrit(total - 1.0, upper) / stdtrit(n - 1.0, upper)) ** 2  # n items told the variance
    return max(least, size * unsure)


def rate_difference(
    first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED
) -> RateDifference:
    """The difference between two systems' rates on the same images, with an interval and a p-value.

    The systems may have different totals, such as the number of names that each one says. Swapping their counts would
    then be wrong in 15 of 100 cases where there is no difference. So each image's contribution to the difference, at
    the rate of both together, changes its sign instead.

    Args:
        first, second: [n, 2] hits and totals of each image.
    """
    (hits, total), (other_hits, other_total) = first.sum(axis=0), second.sum(axis=0)
    if not total or not other_total:
        return NO_DIFFERENCE.copy()
    delta = other_hits / other_total - hits / total
    pooled = (hits + other_hits) / (total + other_total)
    ours, theirs = _contributions(first, pooled), _contributions(second, pooled)
    p_value = randomization_p_value(flipped_sums(theirs - ours, resamples, seed), float((theirs - ours).sum()))
    low, high = rate_difference_interval(first, second)
    return {"delta": 100.0 * delta, "delta_low": 100.0 * low, "delta_high": 100.0 * high, "p": p_value}


def rate_difference_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The 95% interval of the difference (second - first) of two rates, in [-1, 1].

    It joins the intervals of both rates by the correlation of the systems' hits (Newcombe 1998, "Improved confidence
    intervals for the difference between binomial proportions based on paired data", method 10).

    Args:
        first, second: [n, 2] hits and totals of each image; no sum of totals is 0.
    """
    sides = []
    for counts in (first, second):
        low, high = clustered_rate_interval(counts[:, 0], counts[:, 1])
        rate = float(counts[:, 0].sum() / counts[:, 1].sum())
        sides.append((rate, rate - low, high - rate))
    (rate, below, above), (other, other_below, other_above) = sides
    ours, theirs = (_contributions(counts, counts[:, 0].sum() / counts[:, 1].sum()) for counts in (first, second))
    spread = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    agreement = float(ours @ theirs) / spread if spread else 0.0
    down = other_below**2 - 2 * agreement * other_below * above + above**2
    up = other_above**2 - 2 * agreement * other_above * below + below**2
    return max(-1.0, other - rate - max(down, 0.0) ** 0.5), min(1.0, other - rate + max(up, 0.0) ** 0.5)


def _contributions(counts: np.ndarray, rate: float) -> np.ndarray:
    """[n] how far each image moves the rate of its system away from `rate`."""
    contributions: np.ndarray = (counts[:, 0] - rate * counts[:, 1]) / counts[:, 1].sum()
    return contributions
