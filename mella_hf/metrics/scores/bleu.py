"""BLEU over a corpus, on language-aware tokens, equal to sacrebleu's."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.texts.ngrams import NGrams
from mella_hf.metrics.texts.prepared import MetricSettings, Text

BLEU_ORDER = 4


class Bleu(Metric):
    """Corpus BLEU; single items leave out the orders that they are too short for."""

    name: ClassVar = "bleu"
    place: ClassVar = 10
    width: ClassVar = 2 + 2 * BLEU_ORDER
    scores: ClassVar = (Score("bleu", "BLEU", "runs of one to four words in common"),)

    def signature(self, settings: MetricSettings) -> str:
        return "bleu:corpus,exp"

    def count(self, prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings) -> list[int]:
        return bleu_statistics(prediction.token_ngrams, reference.token_ngrams)

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        return {"bleu": bleu_score(sums)}

    def item_score(self, rows: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"bleu": bleu_score(rows, effective_order=True)}


def bleu_statistics(hypothesis: NGrams, reference: NGrams) -> list[int]:
    """[2 + 4 + 4]: hypothesis and reference length, matches of each order, n-grams of each order."""
    matches = hypothesis.matches(reference, BLEU_ORDER)
    return [hypothesis.totals[0], reference.totals[0], *matches, *hypothesis.totals[:BLEU_ORDER]]


def bleu_score(statistics: np.ndarray, effective_order: bool = False) -> np.ndarray:
    """Corpus BLEU in [0, 100] with exponential smoothing; equal to sacrebleu's `BLEU.compute_bleu`.

    Args:
        statistics: [..., 10] sums over a corpus.
        effective_order: leave out orders that a text is too short for, as for the scores of single items.
    """
    statistics = np.asarray(statistics, dtype=np.float64)
    lengths, references = statistics[..., 0], statistics[..., 1]
    matches, totals = statistics[..., 2 : 2 + BLEU_ORDER], statistics[..., 2 + BLEU_ORDER :]
    # The k-th order without a match counts 1 / 2^k of a match (NIST's mteval-v13a).
    halvings = np.cumsum((matches == 0) & (totals > 0), axis=-1)
    smoothed = np.where(matches > 0, matches, 0.5**halvings)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(totals > 0, smoothed / totals, 0.0)
        penalty = np.where(lengths < references, np.exp(1.0 - references / lengths), 1.0)
        logs = np.log(precisions)  # sacrebleu takes log(0) as -9999999999; either way the score is 0
        if effective_order:
            mean = np.exp(np.where(totals > 0, logs, 0.0).sum(axis=-1) / np.maximum((totals > 0).sum(axis=-1), 1))
        else:
            mean = np.exp(logs.mean(axis=-1))
    return np.where(matches.any(axis=-1) & (lengths > 0), 100.0 * penalty * mean, 0.0)
