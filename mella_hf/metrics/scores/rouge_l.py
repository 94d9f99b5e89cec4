"""ROUGE-L on the words of the language, with rouge_score's formula."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.texts.prepared import MetricSettings, Text


class RougeL(Metric):
    """The mean of the items' ROUGE-L F1."""

    name: ClassVar = "rouge_l"
    place: ClassVar = 30
    width: ClassVar = 1
    scores: ClassVar = (Score("rouge_l", "ROUGE-L", "longest common sequence of words", hub="rouge"),)

    def signature(self, settings: MetricSettings) -> str:
        return "rl:f1"

    def count(
        self, prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings
    ) -> list[float]:
        return [rouge_l(prediction.word_numbers, reference.word_numbers)]

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        return {"rouge_l": 100.0 * sums[..., 0] / items}


def rouge_l(hypothesis: Sequence[int], reference: Sequence[int]) -> float:
    """ROUGE-L F1 of one text in [0, 1]: rouge_score's formula, on any tokens.

    Args:
        hypothesis, reference: tokens as integers, equal tokens as equal numbers.
    """
    from rapidfuzz.distance import LCSseq

    if not hypothesis or not reference:
        return 0.0
    common = LCSseq.similarity(hypothesis, reference)
    precision, recall = common / len(hypothesis), common / len(reference)
    return 2.0 * precision * recall / (precision + recall) if common else 0.0
