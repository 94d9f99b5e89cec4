"""Keyword accuracy: the share of the names in the reference that the answer says."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.matching import keyword_hits
from mella_hf.metrics.rates import clustered_rate_interval, rate_difference_interval
from mella_hf.metrics.texts.prepared import MetricSettings, Text
from mella_hf.text.spelling import spelling, spelling_version


class KeywordAccuracy(Metric):
    """Micro (hits over keywords) and macro (the mean over images with keywords) accuracy."""

    name: ClassVar = "keywords"
    place: ClassVar = 60
    width: ClassVar = 4  # hits, keywords, hits / keywords, 1 if there are keywords
    scores: ClassVar = (
        Score(
            "keyword_micro",
            "Keyword accuracy",
            "share of the names in the reference that the answer says",
            full_title="Keyword accuracy (micro)",
            hub="accuracy",
        ),
        Score(
            "keyword_macro",
            "Keyword accuracy, macro",
            "the same share, averaged over images",
            full_title="Keyword accuracy (macro)",
            hub="accuracy",
            on_pages=False,
        ),
    )

    def signature(self, settings: MetricSettings) -> str:
        by = f",{spelling_version()}" if settings.keyword_mode != "exact" and spelling(settings.language) else ""
        plain = ",plain" if settings.keyword_plain else ""
        return f"kw:micro,{settings.keyword_mode}{plain},ci:exact{by}"

    def count(
        self, prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings
    ) -> list[float]:
        hits, total = keyword_hits(
            prediction.analysis, keywords, settings.language, settings.keyword_mode, settings.keyword_plain
        )
        return [hits, total, hits / total if total else 0.0, float(total > 0)]

    def intervals(self, rows: np.ndarray) -> Mapping[str, tuple[float, float]]:
        counted = _rates(rows)
        return {name: _points(clustered_rate_interval(*counts.T)) for name, counts in counted.items()}

    def difference_intervals(self, first: np.ndarray, second: np.ndarray) -> Mapping[str, tuple[float, float]]:
        ours, theirs = _rates(first), _rates(second)
        return {name: _points(rate_difference_interval(ours[name], theirs[name])) for name in ours}

    def item_score(self, rows: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"keyword_micro": self.score(rows, 1)["keyword_micro"]}

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        hits, total, shares, images = np.moveaxis(sums, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"keyword_micro": 100.0 * hits / total, "keyword_macro": 100.0 * shares / images}


def _rates(rows: np.ndarray) -> dict[str, np.ndarray]:
    """[n, 2] hits and totals of each item for both scores; an item is one hit, or a part of it, to the macro one."""
    if not rows[:, 1].any():
        return {}
    return {"keyword_micro": rows[:, :2], "keyword_macro": rows[:, 2:]}


def _points(ends: tuple[float, float]) -> tuple[float, float]:
    """Shares in [0, 1] as scores in [0, 100]."""
    return 100.0 * ends[0], 100.0 * ends[1]
