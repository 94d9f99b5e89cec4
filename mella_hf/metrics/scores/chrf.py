"""chrF++ over a corpus: n-grams of characters and of language-aware tokens, equal to sacrebleu's."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.ngrams import NGrams
from mella_hf.metrics.texts import MetricSettings, Text

CHAR_ORDER, WORD_ORDER = 6, 2  # chrF++ (Popović 2017)
CHRF_BETA = 2.0


class Chrf(Metric):
    """Corpus chrF++."""

    name: ClassVar = "chrf"
    place: ClassVar = 20
    width: ClassVar = 3 * (CHAR_ORDER + WORD_ORDER)
    scores: ClassVar = (Score("chrf", "chrF++", "runs of letters in common"),)

    def signature(self, settings: MetricSettings) -> str:
        return "chrf:c6w2b2"

    def count(self, prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings) -> list[int]:
        return chrf_statistics(
            prediction.character_ngrams, reference.character_ngrams, prediction.token_ngrams, reference.token_ngrams
        )

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        return {"chrf": chrf_score(sums)}


def chrf_statistics(
    hypothesis: NGrams, reference: NGrams, hypothesis_words: NGrams, reference_words: NGrams
) -> list[int]:
    """[8 x 3]: n-grams in the hypothesis, in the reference, matches; characters 1-6, then words 1-2."""
    statistics: list[int] = []
    for mine, theirs, orders in (
        (hypothesis, reference, CHAR_ORDER),
        (hypothesis_words, reference_words, WORD_ORDER),
    ):
        for order, match in enumerate(mine.matches(theirs, orders)):
            # As sacrebleu: n-grams of an order that the reference is too short for do not count.
            total = mine.totals[order] if theirs.totals[order] else 0
            statistics += [total, theirs.totals[order], match]
    return statistics


def chrf_score(statistics: np.ndarray) -> np.ndarray:
    """Corpus chrF++ in [0, 100]; equal to sacrebleu's `CHRF` (word_order=2, no epsilon smoothing).

    Args:
        statistics: [..., 24] sums over a corpus.
    """
    triples = np.asarray(statistics, dtype=np.float64)
    triples = triples.reshape(*triples.shape[:-1], CHAR_ORDER + WORD_ORDER, 3)
    hypotheses, references, matches = triples[..., 0], triples[..., 1], triples[..., 2]
    effective = (hypotheses > 0) & (references > 0)
    orders = np.maximum(effective.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(effective, matches / hypotheses, 0.0).sum(axis=-1) / orders
        recall = np.where(effective, matches / references, 0.0).sum(axis=-1) / orders
        factor = CHRF_BETA**2
        score = 100.0 * (1.0 + factor) * precision * recall / (factor * precision + recall)
    return np.where(precision + recall > 0, score, 0.0)
