"""Titles of metrics, splits, subsets and failures on pages and in tables, and the leading metric of each split."""

from collections.abc import Iterable, Mapping
from typing import Any

from mella_hf.metrics.installed import all_scores

HEADLINE = {"know_test": "keyword_micro", "ling_test": "meteor"}  # the paper's metric of each source
SPLIT_TITLES = {
    "know_test": ("know", "What is this?", "short answers that name what is shown"),
    "ling_test": ("ling", "Describe it.", "descriptions in fluent sentences"),
}
SUBSETS = {"all": "All images", "seen": "Entities seen in training", "unseen": "Entities never seen"}
FAILURES = {  # rates in [0, 1]
    "wrong_script_rate": "in another script",
    "wrong_language_rate": "in another language",
    "repetition_rate": "looping",
    "empty_rate": "empty",
    "truncated_rate": "cut off at the limit",
}
FLAGS = {  # the kinds of degenerate answers that `mella_hf.metrics.degenerate` finds
    "empty": "empty",
    "repetition": "repetitive",
    "loop": "looping",
    "wrong_language": "in another language",
    "wrong_script": "in another script",
    "prompt_copy": "repeats the question",
}
GROUPS = {"category": "By category", "domain": "By site"}


def headline(split: str, score: Mapping[str, Any] | None) -> str:
    """The main metric of a split: METEOR instead of keyword accuracy where no sample has keywords."""
    metric = HEADLINE[split]
    return "meteor" if score is not None and score[metric] is None else metric


def metric_titles(records: Iterable[Mapping[str, Any]] = ()) -> dict[str, tuple[str, str]]:
    """Title and explanation of each score that pages show, the leading metrics first.

    Args:
        records: scores that will be shown; those that a record lacks, because an older version wrote it, are left out.
    """
    known, records = all_scores(), list(records)
    names = [*HEADLINE.values(), *(name for name, score in known.items() if score.on_pages)]
    shown = [name for name in dict.fromkeys(names) if all(name in record for record in records)]
    return {name: (known[name].title, known[name].explained) for name in shown}
