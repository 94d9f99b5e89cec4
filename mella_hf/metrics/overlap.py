"""BLEU, chrF++ and ROUGE-L from item statistics, on tokens of the text's language.

Statistics first: each item is counted once, and a score is a function of the items' summed statistics. Each function
takes the statistics of any number of corpora at once ([..., k]), which makes a thousand bootstrap resamples cheap.
"""

from collections.abc import Sequence

import numpy as np

from mella_hf.metrics.ngrams import NGrams

BLEU_ORDER = 4
CHAR_ORDER, WORD_ORDER = 6, 2  # chrF++ (Popović 2017)
CHRF_BETA = 2.0


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
