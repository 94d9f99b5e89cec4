"""Intervals of rates: against SciPy's, and how often they hold the truth."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from mella_hf.metrics import MellaMetric
from mella_hf.metrics.rates import clustered_rate_interval, rate_difference, rate_difference_interval, rate_interval

RATES = (0.005, 0.01, 0.0246, 0.05, 0.1, 0.3, 0.5)


@pytest.mark.parametrize(("hits", "total"), [(0, 30), (1, 30), (17, 40), (40, 40), (3, 1000)])
def test_scipys_exact_interval(hits: int, total: int) -> None:
    theirs = binomtest(hits, total).proportion_ci(method="exact")
    assert rate_interval(hits, total) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("n", [20, 50, 200])
def test_one_keyword_an_image_keeps_95_percent_at_any_rate(n: int) -> None:
    """The exact coverage: the probability of each number of hits whose interval holds the rate."""
    ends = [clustered_rate_interval(np.arange(n) < hits, np.ones(n)) for hits in range(n + 1)]
    for rate in RATES:
        held = [hits for hits, (low, high) in enumerate(ends) if low <= rate <= high]
        assert binom.pmf(held, n, rate).sum() >= 0.95


@pytest.mark.parametrize("agreement", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", [20, 50, 200])
def test_images_with_several_keywords_keep_95_percent(n: int, agreement: float) -> None:
    """One to four keywords an image, whose hits agree not at all, somewhat, or wholly."""
    random = np.random.RandomState(n)
    for rate in (0.0246, 0.1, 0.5):
        held = 0
        for _ in range(200):
            totals = random.randint(1, 5, size=n)
            together = random.rand(n) < agreement
            shares = np.where(together, random.rand(n) < rate, rate)
            low, high = clustered_rate_interval(random.binomial(totals, shares), totals)
            held += low <= rate <= high
        assert held / 200 >= 0.92  # 0.95 less two standard errors of 200 trials


def test_hits_of_one_image_are_not_ten_observations() -> None:
    """Ten images with ten keywords each, of which an image has all or none: no more is known than of ten keywords."""
    whole = np.array([10.0] * 5 + [0.0] * 5)
    assert clustered_rate_interval(whole, np.full(10, 10.0)) == pytest.approx(rate_interval(5, 10))


def test_no_hits_are_no_certainty() -> None:
    keywords = [["Praha"]] * 30
    texts = [f"Obrázek číslo {i} ukazuje starý dům u řeky." for i in range(30)]
    scores = MellaMetric("cs").compute(predictions=texts, references=texts, keywords=keywords)
    assert scores["keyword_micro"] == scores["keyword_micro_low"] == scores["keyword_macro_low"] == 0.0
    assert scores["keyword_micro_high"] == scores["keyword_macro_high"] == pytest.approx(11.57, abs=0.01)
    unsure = MellaMetric("cs", resamples=0).compute(predictions=texts, references=texts, keywords=keywords)
    assert unsure["keyword_micro_high"] == scores["keyword_micro_high"] and unsure["bleu_low"] is None
    assert "|bs:0|" in unsure["signature"]


def paired(both: int, first_only: int, second_only: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """[n, 2] hits and totals of two systems on images with one keyword each."""
    cells = [[1, 1]] * both + [[1, 0]] * first_only + [[0, 1]] * second_only + [[0, 0]] * neither
    hits = np.array(cells, dtype=float)
    ones = np.ones(len(hits))
    return np.column_stack((hits[:, 0], ones)), np.column_stack((hits[:, 1], ones))


def test_the_interval_of_a_difference_joins_two_intervals() -> None:
    """Without a correlation it is sqrt of both distances squared: none of 20 hit, and half of 20, of other images."""
    first, second = paired(0, 0, 10, 10)
    low, high = rate_difference_interval(first, second)
    nothing, half = binomtest(0, 20).proportion_ci(method="exact"), binomtest(10, 20).proportion_ci(method="exact")
    assert low == pytest.approx(0.5 - np.hypot(0.5 - half.low, nothing.high))
    assert high == pytest.approx(0.5 + (half.high - 0.5))


@pytest.mark.parametrize(("first", "second", "together"), [(0.02, 0.02, 0.5), (0.02, 0.06, 0.0), (0.3, 0.45, 0.5)])
@pytest.mark.parametrize("n", [20, 50, 200])
def test_differences_keep_95_percent(n: int, first: float, second: float, together: float) -> None:
    random = np.random.RandomState(n)
    held = 0
    for _ in range(200):
        ours = random.rand(n)
        theirs = np.where(random.rand(n) < together, ours, random.rand(n))
        counts = [np.column_stack((draw < rate, np.ones(n))) for draw, rate in ((ours, first), (theirs, second))]
        low, high = rate_difference_interval(*counts)
        held += low <= second - first <= high
    assert held / 200 >= 0.92


def test_a_system_without_a_total_has_no_difference() -> None:
    assert rate_difference(np.zeros((3, 2)), np.ones((3, 2))) == dict.fromkeys(
        ("delta", "delta_low", "delta_high", "p")
    )
