"""A run's answers with their scores in, the headline score of each category out: where a model is good and where not.

A category is the first word of a sample's `category`; the ones with too few images to say anything stand together.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mella_hf.evaluation.gallery import HEADLINE, Items
from mella_hf.evaluation.run import Run

FEWEST_IMAGES = 3  # below it one answer moves a category by more than a third
REST = "fewer images"
NONE = "no category"


@dataclass(frozen=True)
class CategoryScore:
    """The headline score of one model on one category of a split.

    Attributes:
        score: in [0, 100]; None where no image of the category has what is measured (keywords).
        images: how many it is over.
    """

    model: str
    split: str
    category: str
    score: float | None
    images: int


def category_scores(run: Run, items: Items) -> list[CategoryScore]:
    """Keyword accuracy (micro) on know and METEOR (mean) on ling by category, most images first."""
    found = []
    for (model, split), predictions in run.predictions.items():
        if split not in HEADLINE:
            continue
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for prediction, item in zip(predictions, items[model, split], strict=True):
            groups[(prediction["category"] or [NONE])[0]].append(item)
        rest = [item for name in [n for n, g in groups.items() if len(g) < FEWEST_IMAGES] for item in groups.pop(name)]
        ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
        for category, members in [*ordered, *([(REST, rest)] if rest else [])]:
            score = _score(members, HEADLINE[split])
            found.append(CategoryScore(model, split, category, score, len(members)))
    return found


def heat_map(scores: Iterable[CategoryScore], split: str) -> dict[str, Any]:
    """Categories by model, for a table whose cells are shaded from 0 to the highest score of all."""
    wanted = [score for score in scores if score.split == split]
    images: dict[str, int] = defaultdict(int)
    for score in wanted:
        images[score.category] += score.images
    return {
        "rows": sorted(images, key=lambda category: (category in (REST, NONE), -images[category], category)),
        "columns": list(dict.fromkeys(score.model for score in wanted)),
        "cells": {(score.category, score.model): score for score in wanted},
        "highest": max((score.score or 0.0 for score in wanted), default=0.0) or 1.0,
    }


def _score(items: Sequence[dict[str, Any]], metric: str) -> float | None:
    """What `MellaMetric` gives for these items alone."""
    if metric == "keyword_micro":
        keywords = sum(item["keywords"] for item in items)
        return 100.0 * sum(item["keyword_hits"] for item in items) / keywords if keywords else None
    return sum(item[metric] for item in items) / len(items)
