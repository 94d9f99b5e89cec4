"""Choices beside metrics: against SciPy, brute force, and numbers worked by hand."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from mella_hf.evaluation.judging.preferences import (
    Choices,
    agreement,
    common_votes,
    compare_choices,
    count_choices,
    cross_table,
    metric_agreement,
    pairwise_accuracy,
    tau_b,
)


@pytest.mark.parametrize("seed", range(20))
def test_tau_b_is_scipys_with_ties_on_both_sides(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(3, 60))
    signs = random.integers(-1, 2, n)
    differences = np.round(random.normal(size=n) + 0.5 * signs, int(random.integers(0, 3)))
    tau = float(tau_b(cross_table(signs, differences, np.ones(n))))
    assert tau == pytest.approx(kendalltau(signs, differences).statistic, nan_ok=True)


def test_weights_are_images_drawn_several_times() -> None:
    random = np.random.default_rng(1)
    signs, differences = random.integers(-1, 2, 30), np.round(random.normal(size=30), 1)
    weights = random.multinomial(30, np.full(30, 1 / 30), size=5)
    taus = tau_b(cross_table(signs, differences, weights))
    expected = [kendalltau(np.repeat(signs, w), np.repeat(differences, w)).statistic for w in weights]
    assert taus == pytest.approx(expected)


def test_tau_b_is_none_where_one_side_is_all_ties() -> None:
    record = metric_agreement(np.ones(5, dtype=int), np.arange(5.0))
    assert (record["tau"], record["tau_low"], record["tau_high"]) == (None, None, None)
    assert record["accuracy"] == 0.8  # the one that is equal by the metric is none by the choice


def test_accuracy_with_ties_by_hand() -> None:
    """Deutsch et al. 2023, (C + T_hm) / all: C 2, T_hm 1, D 1, T_h 1, T_m 1 is 3 of 6. With epsilon .3 T_h joins."""
    signs = np.array([1, -1, 0, 1, 0, 1])
    differences = np.array([5.0, -4.0, 0.0, -2.0, 0.3, 0.0])
    accuracy, calibrated, epsilon = pairwise_accuracy(signs, differences, np.ones((1, 6)))
    assert (accuracy[0], calibrated[0], epsilon) == (0.5, pytest.approx(4 / 6), 0.3)


@pytest.mark.parametrize("seed", range(10))
def test_calibration_finds_the_best_epsilon_there_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    signs, differences = random.integers(-1, 2, 40), np.round(random.normal(size=40), 1)
    accuracy, calibrated, epsilon = pairwise_accuracy(signs, differences, np.ones((1, 40)))

    def share(limit: float) -> float:
        said = np.where(np.abs(differences) <= limit, 0, np.sign(differences))
        return float((said == signs).mean())

    assert accuracy[0] == pytest.approx(share(0))
    assert calibrated[0] == pytest.approx(max(map(share, [0.0, *np.abs(differences)]))) == share(epsilon)


def test_intervals_hold_what_they_are_around() -> None:
    random = np.random.default_rng(3)
    differences = random.normal(size=200)
    record = metric_agreement(np.sign(differences + random.normal(size=200)).astype(int), differences)
    for name in ("tau", "accuracy"):
        assert record[f"{name}_low"] < record[name] < record[f"{name}_high"]
    assert 0.3 < record["tau"] < 0.7  # half of it is noise


def answers(*texts: tuple[str, str, str]) -> dict:
    """One language and split of two systems: (reference, first answer, second answer) of each image."""
    shared = {"keywords": None}
    return {
        ("cs", "ling_test"): {
            name: {
                f"image{i}": {**shared, "reference": text[0], "prediction": text[place]} for i, text in enumerate(texts)
            }
            for place, name in ((1, "base"), (2, "adapter"))
        }
    }


TEXTS = (
    ("velký most přes řeku", "nic", "velký most přes řeku"),
    ("starý hrad na kopci", "nic", "starý hrad na kopci"),
    ("malá kočka spí doma", "malá kočka spí doma", "nic"),
    ("modrý vlak jede domů", "nic", "vůbec nic"),
)


def test_a_record_by_hand() -> None:
    """Two wins, a loss and a tie; a sign test of 2 to 1 has p 1; METEOR gains 2 images and loses 1, of 4."""
    choices = Choices(
        "cs", "ling_test", "base", "adapter",
        {"image0": "second", "image1": "second", "image2": "first", "image3": "tie"},
    )  # fmt: skip
    record = compare_choices([choices], [count_choices(choices, answers(*TEXTS))])[0]
    assert [record[key] for key in ("n", "first_wins", "second_wins", "ties")] == [4, 1, 2, 1]
    assert record["second_rate"] == pytest.approx(2 / 3)
    assert (record["second_rate_low"], record["second_rate_high"]) == (
        pytest.approx(0.094, abs=1e-3),  # Clopper and Pearson's interval of 2 of 3, from their table
        pytest.approx(0.992, abs=1e-3),
    )
    assert (record["p_value"], record["p_holm"], record["majority"]) == (1.0, 1.0, 0.5)
    found = {m["metric"]: m for m in record["metrics"]}
    assert set(found) == {"meteor", "rouge_l", "bleu", "chrf", "cider"}  # no keywords, so no keyword accuracy
    assert found["rouge_l"]["delta"] == pytest.approx(25.0)  # (100 + 100 - 100 + 0) / 4
    assert found["rouge_l"]["accuracy"] == 1.0 and found["rouge_l"]["tau"] == pytest.approx(1.0)


def test_sign_tests_of_a_call_are_one_family() -> None:
    """Six of six is p .03125 alone and .0625 of two."""
    texts = tuple((f"slovo {i}", f"nic {i}", f"slovo {i}") for i in range(6))
    given = answers(*texts) | {("cs", "know_test"): answers(*texts)["cs", "ling_test"]}
    votes = {f"image{i}": "second" for i in range(6)}
    found = [Choices("cs", split, "base", "adapter", votes) for split in ("know_test", "ling_test")]
    records = compare_choices(found, [count_choices(choices, given) for choices in found])
    assert [r["p_value"] for r in records] == [0.03125] * 2
    assert [r["p_holm"] for r in records] == [0.0625] * 2


def test_votes_in_common_whichever_way_round() -> None:
    people = Choices("ar", "ling_test", "base", "adapter", {"a": "second", "b": "first", "c": "tie"})
    judge = Choices("ar", "ling_test", "adapter", "base", {"a": "first", "b": "first", "x": "tie"})
    other = Choices("ar", "know_test", "base", "adapter", {"c": "first"})
    assert common_votes([people], [judge, other]) == [("second", "second"), ("first", "second")]


def test_agreement_of_the_grant_proposals() -> None:
    """p_o .7, kappa .4 (as in the tests of review); its standard error is .127, so the interval is about .15 to .65."""
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = agreement(pairs)
    assert (found["n"], found["share"], found["kappa"]) == (50, 0.7, pytest.approx(0.4))
    assert found["kappa_low"] == pytest.approx(0.15, abs=0.05)
    assert found["kappa_high"] == pytest.approx(0.65, abs=0.05)
    assert agreement([]) == {"n": 0, "share": None, "kappa": None, "kappa_low": None, "kappa_high": None}
