"""Agreement of several reviewers beyond chance."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics import significance
from mella_hf.metrics.rates import rate_interval

Sample = TypeVar("Sample")


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two reviewers over the samples that both judged, in [-1, 1].

    kappa = (p_o - p_e) / (1 - p_e), where p_o is the share of equal verdicts and p_e the share that reviewers with
    these habits would reach by chance (Cohen 1960, A coefficient of agreement for nominal scales).

    Args:
        first, second: the verdicts, sample by sample.

    Returns:
        None if it is not defined: no common samples, or both reviewers always gave the same single verdict.
    """
    if len(first) != len(second):
        raise MellaError(f"There are {len(first)} and {len(second)} verdicts; give one per reviewer for every sample.")
    if not first:
        return None
    n = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    habits, others = Counter(first), Counter(second)
    chance = sum(habits[verdict] * others[verdict] for verdict in habits) / n**2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def fleiss_kappa(verdicts: Sequence[Sequence[Hashable]]) -> float | None:
    """Fleiss' kappa: agreement of any reviewers, the same number for each sample, in [-1, 1].

    kappa = (P - P_e) / (1 - P_e) with P the mean share of agreeing pairs and P_e the sum of the squared shares of
    the verdicts (Fleiss 1971, Measuring nominal scale agreement among many raters).

    Args:
        verdicts: for each sample, the verdicts that it got.

    Returns:
        None when it is not defined: no samples, or one and the same verdict throughout.

    Raises:
        MellaError: when the samples have different numbers of verdicts, or fewer than two.
    """
    if not verdicts:
        return None
    raters = len(verdicts[0])
    if raters < 2 or any(len(given) != raters for given in verdicts):
        raise MellaError("Fleiss' kappa needs the same number of verdicts, two or more, for every sample.")
    counts = [Counter(given) for given in verdicts]
    pairs = [sum(c * (c - 1) for c in count.values()) / (raters * (raters - 1)) for count in counts]
    total = sum(counts, Counter())
    chance = sum((c / (raters * len(verdicts))) ** 2 for c in total.values())
    return None if chance == 1 else (sum(pairs) / len(pairs) - chance) / (1 - chance)


def krippendorff_alpha(verdicts: Sequence[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha for nominal verdicts, any number for each sample, in [-1, 1].

    alpha = 1 - D_o / D_e, observed over expected disagreement of pairs of verdicts within samples with two or more
    (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).

    Args:
        verdicts: for each sample, the verdicts that it got.

    Returns:
        None when it is not defined: no sample with two verdicts, or one and the same verdict throughout.
    """
    counts = [Counter(given) for given in verdicts if len(given) >= 2]
    total = sum(counts, Counter())
    n = total.total()
    expected = n**2 - sum(c**2 for c in total.values())
    if not expected:
        return None
    observed = sum((c.total() ** 2 - sum(k**2 for k in c.values())) / (c.total() - 1) for c in counts)
    return 1 - (n - 1) * observed / expected


def bootstrapped(
    statistic: Callable[[Sequence[Sample]], float | None], samples: Sequence[Sample]
) -> tuple[float, float] | None:
    """The 95% bootstrap interval of a statistic over samples; None if it is defined for no resample."""
    random = np.random.RandomState(significance.SEED)
    n = len(samples)
    draws = (random.randint(n, size=n) for _ in range(significance.RESAMPLES if n else 0))
    values = [statistic([samples[i] for i in draw]) for draw in draws]
    defined = [value for value in values if value is not None]
    return significance.interval(np.array(defined)) if defined else None


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value of the exact sign test. Ties are left out; under the null, the others are fair coin flips.

    Source: Dixon and Mood 1946, The statistical sign test.
    """
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def win_rate(wins: int, losses: int) -> tuple[float, float, float] | None:
    """Share of wins without ties: (rate, low, high) in [0, 1], with the exact 95% interval (Clopper, Pearson 1934)."""
    if not wins + losses:
        return None
    return wins / (wins + losses), *rate_interval(wins, wins + losses)
