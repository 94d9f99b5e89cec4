"""Count reviewers' blind choices for each pair of systems on a page.

    mella review DATASET --answers RUN/predictions/base/ling_test.jsonl \\
      --answers RUN/predictions/adapter/ling_test.jsonl --reviewer NAME
    mella report RUN --human DATASET.compare.sqlite

A choice does not store the systems' names, only a hash of the two answers that were shown. So it counts for every pair
of systems that gave exactly these answers. Choices that match no pair on the page are counted separately.
RUN/human.json keeps the choices on a run's images, with the reviewers' names hashed.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.evaluation.judging.preferences import Answers, Choices
from mella_hf.evaluation.judging.records import ReviewerAgreement, Vote
from mella_hf.evaluation.run import Run
from mella_hf.files import write_atomic
from mella_hf.reviewing.agreement import bootstrapped, krippendorff_alpha
from mella_hf.reviewing.compare import shown_hash, votes
from mella_hf.reviewing.exchange import read_decisions
from mella_hf.reviewing.store import CHOICES, Decision, ReviewStore

HUMAN_FILE = "human.json"


def read_choices(path: Path | str) -> list[Decision]:
    """Read the current choices from a file of `mella review`: its .sqlite, or an exported .parquet or .jsonl.

    Raises:
        MellaError: if it does not exist, has another format, or holds no choice between two answers.
    """
    path = Path(path)
    if not path.is_file():
        raise MellaError(
            f"The file of choices {path} does not exist; give the --state of mella review, or its --export."
        )
    if path.suffix in (".parquet", ".jsonl"):
        decisions = read_decisions(path)
    else:
        store = ReviewStore(path)
        decisions = store.history()
        store.close()
    chosen = [decision for decision in _standing(decisions) if decision.action in CHOICES]
    if not chosen:
        raise MellaError(
            f"{path} holds {len(decisions)} decisions but no choice between two answers; make some with "
            "mella review --answers FIRST --answers SECOND."
        )
    return chosen


def keep_choices(run: Run, decisions: Iterable[Decision]) -> int:
    """Add the choices about a run's images to its human.json, and return how many it now holds."""
    asked = {p["id"] for predictions in run.predictions.values() for p in predictions}
    ours = [d for d in decisions if d.language == run.language and d.sample in asked]
    hidden = [replace(d, reviewer=hashlib.sha256(d.reviewer.encode()).hexdigest()[:8]) for d in ours]
    kept = _standing(sorted({*kept_choices(run), *hidden}, key=lambda d: (d.at, d.sample, d.reviewer)))
    if kept:
        write_atomic(
            run.folder / HUMAN_FILE, json.dumps([asdict(d) for d in kept], ensure_ascii=False, indent=1) + "\n"
        )
    return len(kept)


def kept_choices(run: Run) -> list[Decision]:
    """The choices in a run's human.json; an empty list if there is no such file."""
    path = run.folder / HUMAN_FILE
    return [Decision(**record) for record in json.loads(path.read_text("utf-8"))] if path.is_file() else []


def match_choices(decisions: Sequence[Decision], answers: Answers) -> tuple[list[Choices], int]:
    """Assign choices to pairs of systems; also count the decisions that match no pair's answers.

    An image counts once: for the system that more reviewers chose, or as a tie if they are split.
    """
    found = []
    matched: set[int] = set()
    for (language, split), systems in answers.items():
        for first, second in combinations(systems, 2):
            ours, theirs = ({key: p["prediction"] for key, p in systems[s].items()} for s in (first, second))
            ids = [key for key in ours if key in theirs and ours[key] != theirs[key]]
            forth = {(key, language): shown_hash(ours[key], theirs[key]) for key in ids}
            back = {(key, language): shown_hash(theirs[key], ours[key]) for key in ids}
            matched |= {at for at, d in enumerate(decisions) if d.shown in _shown(d, forth, back)}
            balance = Counter(votes(decisions, forth))
            balance.subtract(votes(decisions, back))
            named = {key: _vote(balance[key, language]) for key in ids if (key, language) in balance}
            if named:
                found.append(Choices(language, split, first, second, named))
    return found, len(decisions) - len(matched)


def reviewer_agreement(decisions: Iterable[Decision]) -> ReviewerAgreement:
    """How often several reviewers of a sample agree."""
    by_sample: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for decision in decisions:
        by_sample[decision.sample, decision.language, decision.shown].append(decision.action)
    several = [given for given in by_sample.values() if len(given) >= 2]
    alpha = krippendorff_alpha(several)
    ends = bootstrapped(krippendorff_alpha, several) if alpha is not None else None
    low, high = ends or (None, None)
    return {"samples": len(several), "alpha": alpha, "alpha_low": low, "alpha_high": high}


def _standing(decisions: Iterable[Decision]) -> list[Decision]:
    """Each reviewer's newest decision on each sample and pair of answers; `decisions` are oldest first."""
    return list({(d.sample, d.language, d.reviewer, d.shown): d for d in decisions}.values())


def _shown(decision: Decision, *orders: Mapping[tuple[str, str], str]) -> list[str | None]:
    return [order.get((decision.sample, decision.language)) for order in orders]


def _vote(balance: int) -> Vote:
    return "second" if balance > 0 else "first" if balance < 0 else "tie"
