"""A simulated study of every test that a page shows: how often it finds what is not there, and what is.

The randomisation test decides differences of scores (means and corpus scores), the sign flips differences of rates
whose totals differ (names said), and the sign test choices of people and judges. `mella score` prints the bootstrap's
p-value, too. Then the coverage of the bootstrap's intervals.
"""

from collections.abc import Callable

import numpy as np
import pytest

from mella_hf.metrics.rates import rate_difference
from mella_hf.metrics.scores.bleu import BLEU_ORDER, bleu_score
from mella_hf.metrics.significance import (
    bootstrap_p_value,
    bootstrap_sums,
    interval,
    randomization_p_value,
    resamples_for,
    swapped_sums,
)
from mella_hf.reviewing.agreement import sign_test

TRIALS, RESAMPLES, LEVEL = 200, 400, 0.05
MOST = LEVEL + 2 * (LEVEL * (1 - LEVEL) / TRIALS) ** 0.5  # two standard errors of the study itself
Study = Callable[[np.random.RandomState, int, float], float]


def two_means(random: np.random.RandomState, n: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 0 to 100 of n images that two systems share in part."""
    shared = random.gamma(2.0, 5.0, size=n)
    first, second = (shared + random.gamma(2.0, 3.0, size=n) + more for more in (0.0, gain))
    return first, second


def mean_by_bootstrap(random: np.random.RandomState, n: int, gain: float) -> float:
    """p of the paired bootstrap of the same means, as `mella score` prints it."""
    first, second = two_means(random, n, gain)
    drawn = bootstrap_sums((second - first)[:, None], RESAMPLES)[:, 0] / n
    return bootstrap_p_value(drawn, float(second.mean() - first.mean()))


def corpus_score(random: np.random.RandomState, n: int, gain: float) -> float:
    """p of corpus BLEU: answers of 4 to 20 words, of whose n-grams about a share p**order match."""
    lengths, ease = random.randint(4, 21, size=n), random.beta(4.0, 4.0, size=n)
    systems = []
    for more in (0.0, gain / 100):
        matches = [
            random.binomial(np.maximum(lengths - order + 1, 0), np.clip(ease + more, 0, 1) ** order)
            for order in range(1, BLEU_ORDER + 1)
        ]
        totals = [np.maximum(lengths - order + 1, 0) for order in range(1, BLEU_ORDER + 1)]
        systems.append(np.column_stack((lengths, lengths, *matches, *totals)).astype(float))
    ours, theirs = swapped_sums(*systems, RESAMPLES)
    before, after = (float(bleu_score(rows.sum(axis=0))) for rows in systems)
    return randomization_p_value(bleu_score(theirs) - bleu_score(ours), after - before)


def mean_score(random: np.random.RandomState, n: int, gain: float) -> float:
    """p of a mean over images, such as METEOR."""
    first, second = two_means(random, n, gain)
    ours, theirs = swapped_sums(first[:, None], second[:, None], RESAMPLES)
    return randomization_p_value((theirs - ours)[:, 0] / n, float(second.mean() - first.mean()))


def keyword_accuracy(random: np.random.RandomState, n: int, gain: float) -> float:
    """p of hits over keywords: one to three keywords an image, of which the first system hits 3%."""
    totals = random.randint(1, 4, size=n)
    first, second = (np.column_stack((random.binomial(totals, 0.03 + more / 100), totals)) for more in (0.0, gain))
    ours, theirs = swapped_sums(first.astype(float), second.astype(float), RESAMPLES)
    differences = theirs[:, 0] / theirs[:, 1] - ours[:, 0] / ours[:, 1]
    return randomization_p_value(differences, float((second - first)[:, 0].sum() / totals.sum()))


def entity_precision(random: np.random.RandomState, n: int, gain: float) -> float:
    """p of the share of supported names, where one system says two names an answer and the other half a name."""
    first, second = random.poisson(2.0, size=n), random.poisson(0.5, size=n)
    shares = random.beta(2.0, 2.0, size=(2, n))
    counts = [
        np.column_stack((random.binomial(totals, np.clip(share + more / 100, 0, 1)), totals)).astype(float)
        for totals, share, more in ((first, shares[0], 0.0), (second, shares[1], gain))
    ]
    return float(rate_difference(counts[0], counts[1], RESAMPLES)["p"])


def choices(random: np.random.RandomState, n: int, gain: float) -> float:
    """p of the sign test: a third are ties, the others go to the second system more often by `gain` points."""
    decided = n - random.binomial(n, 1 / 3)
    wins = random.binomial(decided, 0.5 + gain / 100)
    return sign_test(int(wins), int(decided - wins))


# Gains in points, and the least power at n = 100, 200 and 400. For keywords and names the normal formula, power =
# P(Z > 1.96 - gain / standard error), gives .59, .87 and .99; for choices .69, .94 and 1; for means .95 and more.
STUDIES: list[tuple[Study, float, tuple[float, float, float]]] = [
    (mean_score, 2.0, (0.8, 0.95, 0.99)),
    (mean_by_bootstrap, 2.0, (0.8, 0.95, 0.99)),
    (corpus_score, 2.0, (0.5, 0.8, 0.95)),
    (keyword_accuracy, 5.0, (0.45, 0.77, 0.95)),
    (entity_precision, 20.0, (0.45, 0.77, 0.95)),
    (choices, 15.0, (0.55, 0.85, 0.97)),
]


@pytest.mark.parametrize(("study", "gain", "power"), STUDIES)
def test_false_and_true_findings(study: Study, gain: float, power: tuple[float, ...]) -> None:
    for n, least in zip((100, 200, 400), power, strict=True):
        random = np.random.RandomState(n)
        false = np.mean([study(random, n, 0.0) < LEVEL for _ in range(TRIALS)])
        true = np.mean([study(random, n, gain) < LEVEL for _ in range(TRIALS)])
        assert false <= MOST and true >= least, (n, false, true)


@pytest.mark.parametrize("n", [100, 200, 400])
def test_bootstrap_intervals_hold_the_truth(n: int) -> None:
    """A mean, whose truth is 2 * 5 + 2 * 3 by the gamma distributions, and a paired difference of 2."""
    held = np.zeros(2)
    for seed in range(TRIALS):
        first, second = two_means(np.random.RandomState(1000 * n + seed), n, 2.0)
        drawn = bootstrap_sums(np.column_stack((first, second - first)), RESAMPLES) / n
        for at, truth in enumerate((16.0, 2.0)):
            low, high = interval(drawn[:, at])
            held[at] += low <= truth <= high
    assert (held / TRIALS >= 0.95 - 2 * (0.95 * 0.05 / TRIALS) ** 0.5).all(), held / TRIALS


@pytest.mark.parametrize("tests", [1, 6, 64, 500])
def test_a_family_of_any_size_can_show_something(tests: int) -> None:
    """The smallest p-value of r resamples is 1 / (r + 1); Holm multiplies it by the number of tests."""
    assert tests / (resamples_for(tests) + 1) <= LEVEL / 4
