"""Preferences between two systems: who wins, and whether the metrics agree.

The choices come from people (`mella_hf.review.compare`) or from a judge; both are counted in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mella_hf.answers.predictions import count_answers
from mella_hf.answers.records import Prediction
from mella_hf.evaluation.judging.records import (
    CorrectedPreference,
    MetricAgreement,
    MetricPreference,
    PreferenceRecord,
    VerdictAgreement,
    Vote,
    VoteRecord,
)
from mella_hf.evaluation.titles import metric_titles
from mella_hf.metrics import significance
from mella_hf.metrics.metric import DIGITS, ItemStatistics
from mella_hf.reviewing.agreement import bootstrapped, cohen_kappa, sign_test, win_rate

SIGNS: dict[str, int] = {"first": -1, "tie": 0, "second": 1}  # as a difference, second - first
Predictions = Mapping[str, Prediction]  # by image id
Answers = Mapping[tuple[str, str], Mapping[str, Predictions]]  # by language and split, then by system
Pair = tuple[ItemStatistics, ItemStatistics]  # item statistics of two systems' answers to the same images


@dataclass(frozen=True)
class Choices:
    """Which of two systems' answers was chosen, by image. Images on which both gave the same answer are excluded.

    Attributes:
        language, split: language and split of the answers.
        first, second: names of the systems.
        votes: image id -> "first", "second" or "tie".
    """

    language: str
    split: str
    first: str
    second: str
    votes: Mapping[str, Vote]

    @property
    def signs(self) -> np.ndarray:
        """Choices as an array [n]: -1 for the first, 1 for the second, 0 for a tie."""
        return np.array([SIGNS[vote] for vote in self.votes.values()])

    def record(self) -> VoteRecord:
        """The choices as judge.json keeps them."""
        return {
            "language": self.language,
            "split": self.split,
            "first": self.first,
            "second": self.second,
            "votes": self.votes,
        }

    def swapped(self) -> "Choices":
        """The same choices with the systems in the other order."""
        other: dict[str, Vote] = {"first": "second", "second": "first", "tie": "tie"}
        votes = {key: other[vote] for key, vote in self.votes.items()}
        return Choices(self.language, self.split, self.second, self.first, votes)


def count_choices(choices: Choices, answers: Answers) -> Pair:
    """Item statistics of both systems' answers to the chosen images, in the order of `choices.votes`.

    Raises:
        MissingExtraError: if the language's tokenizer is not installed.
    """
    from mella_hf.metrics import MellaMetric

    metric = MellaMetric(choices.language, progress=False)
    systems = answers[choices.language, choices.split]
    first, second = ([systems[name][key] for key in choices.votes] for name in (choices.first, choices.second))
    return count_answers(metric, first), count_answers(metric, second)


def compare_choices(found: Sequence[Choices], counted: Sequence[Pair]) -> list[CorrectedPreference]:
    """`preference_record` of each pair of systems, with `p_holm`: their sign tests corrected as one family.

    Args:
        counted: the result of `count_choices` for each of `found`.
    """
    records = [preference_record(choices, *pair) for choices, pair in zip(found, counted, strict=True)]
    corrected = significance.holm([record["p_value"] for record in records])
    return [{**record, "p_holm": p} for record, p in zip(records, corrected, strict=True)]


def preference_record(choices: Choices, first: ItemStatistics, second: ItemStatistics) -> PreferenceRecord:
    """How often each system was chosen, and each metric's difference on the same images.

    Args:
        first, second: item statistics of the chosen images' answers, in the order of `choices.votes`.
    """
    from mella_hf.metrics.comparison import compare

    signs = choices.signs
    losses, ties, wins = (int(np.count_nonzero(signs == sign)) for sign in (-1, 0, 1))
    rate, low, high = win_rate(wins, losses) or (None, None, None)
    differences = compare(first, second)
    tables = first.table(), second.table()
    metrics: list[MetricPreference] = []
    for name in metric_titles():
        if differences[f"{name}_delta"] is None:
            continue
        scored = [(a[name], b[name]) for a, b in zip(*tables, strict=True)]
        known = np.array([a is not None and b is not None for a, b in scored])
        deltas = np.array([b - a for (a, b), kept in zip(scored, known, strict=True) if kept])
        delta, delta_low, delta_high = (differences[f"{name}_{key}"] for key in ("delta", "delta_low", "delta_high"))
        metrics.append(
            {
                "metric": name,
                "delta": delta,
                "delta_low": delta_low,
                "delta_high": delta_high,
                **metric_agreement(signs[known], deltas),
            }
        )
    return {
        "language": choices.language,
        "split": choices.split,
        "first": choices.first,
        "second": choices.second,
        "n": len(signs),
        "first_wins": losses,
        "second_wins": wins,
        "ties": ties,
        "second_rate": rate,
        "second_rate_low": low,
        "second_rate_high": high,
        "p_value": sign_test(wins, losses),
        "majority": max(losses, ties, wins) / len(signs),
        "metrics": metrics,
        "signature": differences["signature"],
    }


def metric_agreement(
    signs: np.ndarray, differences: np.ndarray, resamples: int = significance.RESAMPLES, seed: int = significance.SEED
) -> MetricAgreement:
    """Whether a metric's differences per image agree with the choices.

    Args:
        signs: [n] choices as -1, 0, 1.
        differences: [n] differences of the metric, second - first; values equal within rounding are ties.
    """
    n = len(signs)
    differences = np.round(differences, DIGITS)
    drawn = significance.bootstrap_sums(np.eye(n), resamples, seed)  # [resamples, n] how often each image was drawn
    weights = np.vstack((np.ones(n), drawn))
    taus = tau_b(cross_table(signs, differences, weights))
    accuracies, calibrations, epsilon = pairwise_accuracy(signs, differences, weights)  # fitted anew in each resample
    tau, tau_low, tau_high = _with_interval(taus)
    accuracy, accuracy_low, accuracy_high = _with_interval(accuracies)
    calibrated, calibrated_low, calibrated_high = _with_interval(calibrations)
    return {
        "n": n,
        "tau": tau,
        "tau_low": tau_low,
        "tau_high": tau_high,
        "accuracy": accuracy,
        "accuracy_low": accuracy_low,
        "accuracy_high": accuracy_high,
        "calibrated": calibrated,
        "calibrated_low": calibrated_low,
        "calibrated_high": calibrated_high,
        "epsilon": epsilon,
    }


def _with_interval(values: np.ndarray) -> tuple[float, float, float] | tuple[None, None, None]:
    """The first value, and the interval of the others, which are resamples of it; None thrice where it is NaN."""
    if np.isnan(values[0]):
        return None, None, None
    return float(values[0]), *significance.interval(values[1:])


def cross_table(signs: np.ndarray, differences: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Table [..., 3, m]: weight of the images by choice and by rank of the difference among its m values.

    Args:
        signs, differences: [n].
        weights: [..., n] weights of the images.
    """
    order = np.argsort(differences, kind="stable")
    starts = np.flatnonzero(np.diff(differences[order], prepend=-np.inf))
    rows = [np.add.reduceat(weights[..., order] * (signs[order] == sign), starts, axis=-1) for sign in (-1, 0, 1)]
    return np.stack(rows, axis=-2)


def tau_b(table: np.ndarray) -> np.ndarray:
    """Kendall's tau-b [...] of counts [..., 3, m]; NaN if one side has only ties.

    tau_b = (P - Q) / sqrt((n0 - n1)(n0 - n2)), P and Q the concordant and discordant pairs, n0 all pairs, n1 and n2
    those tied on one side (Kendall 1945, The treatment of ties in ranking problems).
    """
    below = np.cumsum(table, axis=-1) - table
    # Images of a choice with a lower difference, minus those with a higher one: [..., 3, m].
    balance = 2 * below + table - table.sum(axis=-1, keepdims=True)
    surplus = sum((table[..., b, :] * balance[..., a, :]).sum(axis=-1) for a, b in ((0, 1), (0, 2), (1, 2)))
    pairs, by_choice, by_rank = (
        (count * (count - 1)).sum(axis=-1) / 2
        for count in (table.sum(axis=(-2, -1))[..., None], table.sum(axis=-1), table.sum(axis=-2))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(surplus / np.sqrt((pairs - by_choice) * (pairs - by_rank)))


def pairwise_accuracy(
    signs: np.ndarray, differences: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Accuracy [r], accuracy with calibrated ties [r], and epsilon of the first row, for weights [r, n]."""
    total = weights.sum(axis=-1)
    size = np.abs(differences)
    order = np.argsort(size, kind="stable")
    ends = np.flatnonzero(np.diff(size[order], append=np.inf))  # the last image of each size
    right = weights[:, order] * (np.sign(differences) == signs)[order]
    tied = weights[:, order] * (signs == 0)[order]
    plain = right.sum(axis=-1)
    # Differences up to this size count as a tie; above it the sign decides.
    hits = np.cumsum(tied, axis=-1)[:, ends] + plain[:, None] - np.cumsum(right, axis=-1)[:, ends]
    hits = np.hstack((plain[:, None], hits))
    best = int(np.argmax(hits[0]))
    epsilon = 0.0 if best == 0 else float(size[order][ends[best - 1]])
    return plain / total, hits.max(axis=-1) / total, epsilon


def agreement(pairs: Sequence[tuple[Any, Any]]) -> VerdictAgreement:
    """How often two judges agree.

    Args:
        pairs: both verdicts on each sample.
    """
    kappa = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs])
    ends = bootstrapped(lambda drawn: cohen_kappa([a for a, _ in drawn], [b for _, b in drawn]), pairs)
    low, high = ends if kappa is not None and ends else (None, None)
    share = sum(a == b for a, b in pairs) / len(pairs) if pairs else None
    return {"n": len(pairs), "share": share, "kappa": kappa, "kappa_low": low, "kappa_high": high}


def common_votes(one: Sequence[Choices], other: Sequence[Choices]) -> list[tuple[Vote, Vote]]:
    """The votes of two groups, such as a judge and people, on the images and pairs that both have seen."""
    by_pair = {(c.language, c.split, c.first, c.second): c.votes for given in other for c in (given, given.swapped())}
    found = []
    for choices in one:
        theirs = by_pair.get((choices.language, choices.split, choices.first, choices.second), {})
        found += [(vote, theirs[key]) for key, vote in choices.votes.items() if key in theirs]
    return found
