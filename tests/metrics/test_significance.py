"""Intervals and tests against sacrebleu's, and against differences that are chance by construction."""

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest, _bootstrap_resample

from mella_hf.errors import MellaError
from mella_hf.metrics import MellaMetric, compare
from mella_hf.metrics.comparison import corrected
from mella_hf.metrics.installed import all_scores
from mella_hf.metrics.significance import (
    bootstrap_p_value,
    bootstrap_sums,
    flipped_sums,
    holm,
    interval,
    randomization_p_value,
    resamples_for,
    swapped_sums,
)


@pytest.fixture(scope="module")
def systems(outputs):
    metric = MellaMetric("cs")
    rows = {name: outputs("cs", name) for name in ("base", "mella")}
    statistics = {
        name: metric.statistics(
            predictions=[r["prediction"] for r in rows[name]], references=[r["reference"] for r in rows[name]]
        )
        for name in rows
    }
    return metric, rows, statistics


def test_resamples_are_pinned() -> None:
    # NumPy freezes the stream of RandomState: MT19937 with seed 12345 starts with these draws below 5.
    assert np.random.RandomState(12345).randint(5, size=6).tolist() == [2, 1, 4, 1, 2, 1]
    sums = bootstrap_sums(np.eye(5), resamples=3)
    assert sums.shape == (3, 5) and (sums.sum(axis=1) == 5).all()
    assert sums[0].tolist() == np.bincount(np.random.RandomState(12345).randint(5, size=5), minlength=5).tolist()


@pytest.mark.parametrize("block", [1, 7, 100])
def test_the_draws_do_not_depend_on_the_size_of_the_blocks(block: int, monkeypatch) -> None:
    """Large corpora are drawn in smaller blocks, so that memory does not grow with them."""
    statistics = np.random.RandomState(0).rand(50, 3)

    def drawn() -> list[np.ndarray]:
        swapped = swapped_sums(statistics, statistics[::-1], trials=120)
        return [bootstrap_sums(statistics, resamples=120), *swapped, flipped_sums(statistics[:, 0], trials=120)]

    whole = drawn()
    # Room for half a draw more than goes into a block.
    monkeypatch.setattr("mella_hf.metrics.significance._BLOCK_DRAWS", block * 50 + 25)
    monkeypatch.setattr("mella_hf.metrics.significance._HELD", 3 * block * 50 + 25)
    for one, other in zip(whole, drawn(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_swapping_keeps_the_total_of_both_systems() -> None:
    first, second = np.arange(12.0).reshape(4, 3), np.ones((4, 3))
    one, other = swapped_sums(first, second, trials=250)
    assert one.shape == (250, 3)
    assert np.allclose(one + other, (first + second).sum(axis=0))


def test_each_image_is_swapped_for_itself_with_probability_one_half() -> None:
    first, second = np.zeros((3, 1)), np.array([[1.0], [10.0], [100.0]])
    one, other = swapped_sums(first, second, trials=4000)
    # The first system gets one of the eight subsets of the second's images, each in about an eighth of the trials.
    values, counts = np.unique(one[:, 0], return_counts=True)
    assert values.tolist() == [0, 1, 10, 11, 100, 101, 110, 111]
    assert (np.abs(counts / 4000 - 1 / 8) < 0.03).all()
    assert (one + other == 111).all()


def test_interval_is_the_central_95_percent() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))


def test_bootstrap_interval_is_close_to_sacrebleus(systems) -> None:
    from mella_hf.text.tokens import tokenize

    metric, rows, statistics = systems
    texts = [[" ".join(tokenize(r[key], "cs")) for r in rows["mella"]] for key in ("prediction", "reference")]
    theirs = BLEU(tokenize="none", force=True).corpus_score(texts[0], [texts[1]], n_bootstrap=1000)
    ours = metric.score(statistics["mella"])
    assert ours["bleu"] == pytest.approx(theirs.score, abs=1e-4)
    assert (ours["bleu_high"] - ours["bleu_low"]) / 2 == pytest.approx(theirs._ci, rel=0.2)


def test_paired_tests_agree_with_sacrebleus(systems) -> None:
    from mella_hf.text.tokens import tokenize

    metric, rows, statistics = systems
    references = [r["reference"] for r in rows["mella"]]
    # A second system that differs a little: every third answer loses its last third.
    worse = [r["prediction"] for r in rows["mella"]]
    worse = [text[: 2 * len(text) // 3] if i % 3 == 0 else text for i, text in enumerate(worse)]
    result = compare(statistics["mella"], metric.statistics(predictions=worse, references=references))
    columns = [[" ".join(tokenize(text, "cs")) for text in texts] for texts in (
        [r["prediction"] for r in rows["mella"]], worse, references)]  # fmt: skip
    bleu = BLEU(tokenize="none", force=True)
    test = PairedTest(
        [("first", columns[0]), ("second", columns[1])], {"BLEU": bleu}, [columns[2]], test_type="ar", n_samples=1000
    )
    theirs = test()[1]["BLEU"][1]
    assert result["bleu_delta"] == pytest.approx(theirs.score - result["bleu_first"], abs=1e-3)
    assert result["bleu_p_randomization"] == pytest.approx(theirs.p_value, abs=0.03)
    # sacrebleu's own p-value of the bootstrap counts the upper tail only, so take its resamples instead.
    drawn = [
        np.array([s.score for s in _bootstrap_resample(bleu._extract_corpus_statistics(c, [columns[2]]), bleu)[1]])
        for c in columns[:2]
    ]
    strays = np.abs((drawn[1] - drawn[0]) - (drawn[1] - drawn[0]).mean())
    assert result["bleu_p_bootstrap"] == pytest.approx((strays > abs(result["bleu_delta"])).mean(), abs=0.03)


def test_a_large_difference_is_significant_and_none_is_not(systems) -> None:
    _, _, statistics = systems
    result = compare(statistics["base"], statistics["mella"])
    for name in ("bleu", "chrf", "rouge_l", "meteor"):
        assert result[f"{name}_p_bootstrap"] == result[f"{name}_p_randomization"] == pytest.approx(1 / 1001, abs=1e-4)
        assert 0 < result[f"{name}_delta_low"] < result[f"{name}_delta"] < result[f"{name}_delta_high"]
    assert result["keyword_micro_delta"] is None and "|ar:1000|" in result["signature"]
    # As many resamples as tests need: the least p-value of 20,000 is not rounded to 0, nor is Holm's.
    many = corrected({"cs": compare(statistics["base"], statistics["mella"], resamples=20_000)})["cs"]
    assert many["bleu_p_randomization"] == pytest.approx(1 / 20_001) and many["tests"] == 6
    assert many["bleu_p_randomization_holm"] == pytest.approx(6 / 20_001)
    with pytest.raises(MellaError, match="0 resamples tests nothing"):
        compare(statistics["base"], statistics["mella"], resamples=0)
    same = compare(statistics["base"], statistics["base"])
    assert same["bleu_delta"] == 0.0 and same["bleu_delta_low"] == same["bleu_delta_high"] == 0.0


def test_a_family_gets_a_hundred_resamples_a_test_and_never_fewer_than_a_thousand() -> None:
    assert [resamples_for(tests) for tests in (0, 1, 10, 11, 64)] == [1000, 1000, 1000, 1100, 6400]


def test_flipping_changes_signs_with_probability_one_half() -> None:
    differences = np.array([1.0, 10.0, 100.0])
    sums = flipped_sums(differences, trials=4000)
    assert len(sums) == 4000
    # The eight sums of plus or minus 1, 10 and 100, each in about an eighth of the trials.
    values, counts = np.unique(sums, return_counts=True)
    assert values.tolist() == [-111, -109, -91, -89, 89, 91, 109, 111]
    assert (np.abs(counts / 4000 - 1 / 8) < 0.03).all()
    assert flipped_sums(differences, 50, seed=1).tolist() != sums[:50].tolist()
    assert flipped_sums(differences, 50).tolist() == flipped_sums(differences, 50).tolist()


def test_p_values_by_hand() -> None:
    # Of four resamples with mean 2, those at 0 and 4 stray by 2, the others by 1: (2 + 1) / 5, and (4 + 1) / 5.
    drawn = np.array([0.0, 4.0, 1.0, 3.0])
    assert bootstrap_p_value(drawn, 2.0) == bootstrap_p_value(drawn, -2.0) == pytest.approx(3 / 5)
    assert bootstrap_p_value(drawn, 1.0) == pytest.approx(1.0)
    assert bootstrap_p_value(drawn, 2.5) == pytest.approx(1 / 5)
    # A trial that ties with what was observed counts, within rounding; a smaller one does not.
    trials = np.array([-0.3, 0.1 + 0.2, 0.29, 0.0])
    assert randomization_p_value(trials, 0.3) == pytest.approx(3 / 5)


HOLM = [
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 4 x .005, 3 x .01, 2 x .03, then not below it
    ([0.04, None, 0.02], [0.04, None, 0.04]),  # two tests, not three
    ([0.6, 0.7], [1.0, 1.0]),
    ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
    ([0.0, 1.0], [0.0, 1.0]),  # both ends are p-values
    ([None], [None]),
    ([], []),
]


@pytest.mark.parametrize(("p_values", "expected"), HOLM)
def test_holm_by_hand(p_values: list, expected: list) -> None:
    assert holm(p_values) == [None if p is None else pytest.approx(p) for p in expected]


@pytest.mark.parametrize("p_value", [1.5, -0.1, float("nan")])
def test_no_p_value(p_value: float) -> None:
    with pytest.raises(MellaError, match="p-value of test 1"):
        holm([0.5, p_value])


def test_a_family_is_every_score_of_every_comparison() -> None:
    one = {f"{name}_p_randomization": None for name in all_scores()} | {"bleu_p_randomization": 0.01, "n": 7}
    other = one | {"bleu_p_randomization": 0.03, "meteor_p_randomization": 0.02}
    result = corrected({"cs": one, "th": other})
    assert result["cs"]["bleu_p_randomization_holm"] == 0.03 and result["cs"]["n"] == 7
    assert result["th"]["meteor_p_randomization_holm"] == result["th"]["bleu_p_randomization_holm"] == 0.04
    assert result["cs"]["chrf_p_randomization_holm"] is None and result["cs"]["tests"] == 3
    assert "tests" not in one


def test_one_answer_that_differs_is_no_evidence() -> None:
    """Ten images, one keyword hit more: every swap gives a difference as large, so the exact p-value is 1."""
    first = np.array([[1.0, 1.0]] * 3 + [[0.0, 1.0]] * 7)
    second = np.array([[1.0, 1.0]] * 4 + [[0.0, 1.0]] * 6)
    ours, theirs = swapped_sums(first, second)
    differences = 100 * (theirs[:, 0] / theirs[:, 1] - ours[:, 0] / ours[:, 1])
    assert randomization_p_value(differences, 10.0) == 1.0
    assert randomization_p_value(np.zeros(1000), 0.0) == 1.0, "nothing differs"
