"""Progress and agreement of a review."""

from collections import Counter
from itertools import combinations
from typing import TypedDict

from mella_hf.reviewing.agreement import cohen_kappa, fleiss_kappa
from mella_hf.reviewing.queue import Queue
from mella_hf.reviewing.store import VERDICTS


class PairAgreement(TypedDict):
    """Cohen's kappa of two reviewers over the samples that both judged; None where it is not defined."""

    reviewers: list[str]
    samples: int
    cohen_kappa: float | None


class ReviewAgreement(TypedDict):
    """Agreement of the reviewers. All kappas use three verdicts: accept, edit and reject.

    Attributes:
        fleiss_kappa: over the `samples` with the most frequent number (two or more) of verdicts.
    """

    pairs: list[PairAgreement]
    fleiss_kappa: float | None
    samples: int


class ReviewStatus(TypedDict):
    """Progress and agreement of a review.

    Attributes:
        outcomes: samples by outcome.
        reviewers: decisions of each by action.
        stale: decisions about samples or texts that are not in the queue.
    """

    samples: int
    outcomes: dict[str, int]
    reviewers: dict[str, dict[str, int]]
    agreement: ReviewAgreement
    stale: int


def status(queue: Queue) -> ReviewStatus:
    """Progress and agreement of a review, as JSON."""
    by_reviewer: dict[str, dict[tuple[str, str], str]] = {}
    reviewers: dict[str, Counter[str]] = {}
    for key, given in queue.given.items():
        for name, decision in given.items():
            reviewers.setdefault(name, Counter())[decision.action] += 1
            if decision.action in VERDICTS:
                by_reviewer.setdefault(name, {})[key] = decision.action
    pairs: list[PairAgreement] = []
    for one, other in combinations(sorted(by_reviewer), 2):
        both = sorted(by_reviewer[one].keys() & by_reviewer[other].keys())
        if both:
            first, second = ([by_reviewer[name][key] for key in both] for name in (one, other))
            pairs.append({"reviewers": [one, other], "samples": len(both), "cohen_kappa": cohen_kappa(first, second)})
    several = [verdicts for verdicts in map(queue.verdicts, queue.given) if len(verdicts) >= 2]
    common = Counter(map(len, several)).most_common(1)
    judged = [verdicts for verdicts in several if len(verdicts) == common[0][0]] if common else []
    return {
        "samples": len(queue.items),
        "outcomes": {outcome: count for outcome, count in queue.progress.items() if count},
        "reviewers": {name: dict(counts) for name, counts in sorted(reviewers.items())},
        "agreement": {"pairs": pairs, "fleiss_kappa": fleiss_kappa(judged), "samples": len(judged)},
        "stale": queue.stale,
    }
