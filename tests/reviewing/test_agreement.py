"""Agreement and choices against published worked examples."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.reviewing.agreement import (
    bootstrapped,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    sign_test,
    win_rate,
)

# Fleiss 1971's form, with the worked table of 14 raters, 10 subjects and 5 categories: kappa = 0.210.
FLEISS = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip


def test_cohen_kappa_of_the_grant_proposals() -> None:
    """50 proposals: both yes 20, both no 15, split 5 and 10; p_o .7, p_e .5, kappa .4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa(second, first) == pytest.approx(0.4)


def test_cohen_kappa_at_its_ends() -> None:
    assert cohen_kappa(["a", "b"], ["a", "b"]) == 1
    assert cohen_kappa(["a", "b"], ["b", "a"]) == -1
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["a", "a"], ["a", "a"]) is None  # chance alone would agree as well
    with pytest.raises(MellaError, match="1 and 2 verdicts"):
        cohen_kappa(["a"], ["a", "b"])


def test_fleiss_kappa_of_the_worked_table() -> None:
    verdicts = [[category for category, count in enumerate(row) for _ in range(count)] for row in FLEISS]
    assert fleiss_kappa(verdicts) == pytest.approx(0.210, abs=0.0005)


def test_fleiss_kappa_needs_equal_numbers() -> None:
    assert fleiss_kappa([]) is None
    message = r"^Fleiss' kappa needs the same number of verdicts, two or more, for every sample\.$"
    for verdicts in ([["a", "b"], ["a"]], [["a"], ["b"]]):
        with pytest.raises(MellaError, match=message):
            fleiss_kappa(verdicts)


def test_fleiss_kappa_of_two_reviewers_is_scotts_pi() -> None:
    """Shares 3/4 and 1/4, so P_e = 10/16; one pair of two agrees, so P = 1/2 and kappa = (8 - 10) / (16 - 10)."""
    assert fleiss_kappa([["a", "a"], ["a", "b"]]) == pytest.approx(-1 / 3)
    assert fleiss_kappa([["a", "a"], ["a", "a"]]) is None  # chance alone would agree as well


def test_eight_wins_of_ten() -> None:
    """Two tails of C(10, 8..10) = 45 + 10 + 1 in 1024; Clopper and Pearson's interval from their tables."""
    assert sign_test(8, 2) == pytest.approx(2 * 56 / 1024)
    assert sign_test(0, 0) == 1
    rate = win_rate(8, 2)
    assert rate == pytest.approx((0.8, 0.4439, 0.9748), abs=1e-4)
    assert win_rate(5, 5) == pytest.approx((0.5, 0.1871, 0.8129), abs=1e-4)
    assert win_rate(0, 0) is None


def test_krippendorff_alpha_of_the_published_example() -> None:
    """Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C: four observers, missing data, .743."""
    observers = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    verdicts = [[o[unit] for o in observers if o[unit] != "."] for unit in range(12)]
    assert krippendorff_alpha(verdicts) == pytest.approx(0.743, abs=0.0005)


def test_krippendorff_alpha_at_its_ends() -> None:
    assert krippendorff_alpha([["a", "a"], ["b", "b", "b"]]) == 1
    assert krippendorff_alpha([["a"], ["b"]]) is None  # nobody looked at what another did
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None


def test_an_interval_of_what_no_sample_has_is_none() -> None:
    assert bootstrapped(krippendorff_alpha, []) is None
    assert bootstrapped(len, []) is None  # without samples there is no resample
    verdicts = [["a", "a"], ["b", "b"], ["a", "b"]] * 10
    low, high = bootstrapped(krippendorff_alpha, verdicts)
    assert low < krippendorff_alpha(verdicts) < high
    assert bootstrapped(krippendorff_alpha, verdicts) == (low, high)  # the draws are seeded
