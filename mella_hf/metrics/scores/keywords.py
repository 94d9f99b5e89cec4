"""Keyword accuracy: the share of the names in the reference that the answer says."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.matching import keyword_hits
from mella_hf.metrics.texts import MetricSettings, Text


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
        return f"kw:micro,{settings.keyword_mode}"

    def count(
        self, prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings
    ) -> list[float]:
        hits, total = keyword_hits(prediction.analysis, keywords, settings.language, settings.keyword_mode)
        return [hits, total, hits / total if total else 0.0, float(total > 0)]

    def item_score(self, rows: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"keyword_micro": self.score(rows, 1)["keyword_micro"]}

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        hits, total, shares, images = np.moveaxis(sums, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"keyword_micro": 100.0 * hits / total, "keyword_macro": 100.0 * shares / images}
