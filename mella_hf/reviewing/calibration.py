"""Choose the threshold of a quality score from what reviewers decided.

The paper keeps translations that COMETKiwi scores at least 0.75 (arXiv 2508.05502). Scores mean different things in
different languages, so a measured threshold is better than a borrowed one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics import significance
from mella_hf.metrics.rates import rate_interval
from mella_hf.reviewing.queue import Queue, majority

ENOUGH = 50  # doubly judged samples of a language


@dataclass(frozen=True)
class Calibration:
    """The threshold of one language.

    Attributes:
        samples: scored samples that two or more reviewers judged and agreed on.
        good: how many of them reviewers keep as they are or edited (`keep="edited"`), or as they are alone.
        threshold: the smallest score from which on at least the asked share of samples is good; None where no score
            reaches it.
        low, high: 95% interval of the threshold, by bootstrap over samples; None where a bound does not exist.
        precision, precision_low, precision_high: share of good samples at or above the threshold, in [0, 1], with
            its exact 95% interval.
        kept: share of all samples at or above the threshold, in [0, 1].
    """

    language: str
    samples: int
    good: int
    threshold: float | None
    low: float | None
    high: float | None
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    kept: float | None

    def to_json(self) -> dict[str, Any]:
        """The calibration for programs."""
        return asdict(self)

    def __str__(self) -> str:
        head = f"{self.language}: {self.samples} doubly judged samples, {self.good} of them good"
        if self.threshold is None or self.precision is None or self.kept is None:
            return f"{head}; no score reaches that precision"
        ends = " to ".join("none" if end is None else f"{end:.3f}" for end in (self.low, self.high))
        few = f"; few, judge {ENOUGH - self.samples} more" if self.samples < ENOUGH else ""
        return (
            f"{head}; threshold {self.threshold:.3f} (95%: {ends}), precision there {100 * self.precision:.0f}% "
            f"({100 * (self.precision_low or 0):.0f} to {100 * (self.precision_high or 0):.0f}), "
            f"keeps {100 * self.kept:.0f}%{few}"
        )


def calibrate(queue: Queue, precision: float, *, keep_edited: bool = False) -> list[Calibration]:
    """Find each language's threshold for a precision, from samples that two or more reviewers judged.

    Args:
        precision: the share of kept samples that must be good, in (0, 1].
        keep_edited: count a text that reviewers edited as good; by default only what they accepted as it is.

    Raises:
        MellaError: when the precision is out of range, or no scored sample was judged twice.
    """
    if not 0 < precision <= 1:
        raise MellaError(f"The precision is {precision}; give a share in (0, 1], such as 0.9.")
    judged: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for key, item in queue.items.items():
        verdicts = queue.verdicts(key)
        outcome = majority(verdicts) if len(verdicts) >= 2 else None
        if outcome is not None and item.qe_score is not None:
            judged[item.language].append((item.qe_score, outcome == "accept" or (keep_edited and outcome == "edit")))
    if not judged:
        raise MellaError("No sample with a score was judged by two reviewers; serve the queue with --double 1 first.")
    return [_of_language(language, pairs, precision) for language, pairs in sorted(judged.items())]


def _of_language(language: str, pairs: Sequence[tuple[float, bool]], precision: float) -> Calibration:
    scores, good = np.array([score for score, _ in pairs]), np.array([is_good for _, is_good in pairs])
    threshold = smallest_threshold(scores, good, precision)
    if threshold is None:
        return Calibration(language, len(pairs), int(good.sum()), None, None, None, None, None, None, None)
    random = np.random.RandomState(significance.SEED)
    draws = (random.randint(len(pairs), size=len(pairs)) for _ in range(significance.RESAMPLES))
    found = [smallest_threshold(scores[draw], good[draw], precision) for draw in draws]
    # A draw in which no score reaches the precision has a threshold above every score.
    ends = np.quantile([np.inf if one is None else one for one in found], (0.025, 0.975), method="closest_observation")
    low, high = (float(end) if np.isfinite(end) else None for end in ends)
    above = scores >= threshold
    ends_there = rate_interval(int(good[above].sum()), int(above.sum()))
    return Calibration(
        language, len(pairs), int(good.sum()), threshold, low, high,
        float(good[above].mean()), *ends_there, float(above.mean()),
    )  # fmt: skip


def smallest_threshold(scores: np.ndarray, good: np.ndarray, precision: float) -> float | None:
    """The smallest score t such that at least `precision` of the samples with a score >= t are good; None for none.

    Args:
        scores: [N], higher is better.
        good: [N], bool.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    share = np.cumsum(good[order]) / np.arange(1, len(order) + 1)
    last_of_its_score = np.append(ranked[1:] != ranked[:-1], True)  # equal scores stand or fall together
    reached = np.flatnonzero(last_of_its_score & (share >= precision - 1e-12))
    return float(ranked[reached[-1]]) if len(reached) else None
