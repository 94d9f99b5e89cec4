"""chrF++ over a corpus, of the texts as they come (sacrebleu's) and of normalised texts and language-aware tokens."""

from collections.abc import Mapping, Sequence
from string import punctuation
from typing import Any, ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.texts.ngrams import NGrams, characters
from mella_hf.metrics.texts.prepared import MetricSettings, Text

CHAR_ORDER, WORD_ORDER = 6, 2  # chrF++ (Popović 2017)
CHRF_BETA = 2.0


class Chrf(Metric):
    """Corpus chrF++ of the texts as they come, as papers report it: equal to sacrebleu's `CHRF(word_order=2)`."""

    name: ClassVar = "chrf"
    place: ClassVar = 20
    width: ClassVar = 3 * (CHAR_ORDER + WORD_ORDER)
    scores: ClassVar = (Score("chrf", "chrF++", "runs of letters in common"),)

    def signature(self, settings: MetricSettings) -> str:
        return "chrf:c6w2b2"

    def prepare(self, text: Text, survey: Any) -> tuple[NGrams, NGrams]:
        """The n-grams of the letters and of the words between spaces."""
        letters, words = "".join(text.raw.split()), spaced_words(text.raw)
        same = letters == text.analysis.normalized.replace(" ", "")  # as in scripts without capitals
        # Equal words have equal hashes in a process, and n-grams are compared within one only.
        hashes = np.fromiter(map(hash, words), dtype=np.int64, count=len(words)).view(np.uint64)
        return (
            text.character_ngrams if same else NGrams(characters(letters), CHAR_ORDER),
            NGrams(hashes, WORD_ORDER),
        )

    def count(
        self,
        prediction: tuple[NGrams, NGrams],
        reference: tuple[NGrams, NGrams],
        keywords: Sequence[str],
        settings: MetricSettings,
    ) -> list[int]:
        return chrf_statistics(prediction[0], reference[0], prediction[1], reference[1])

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        return {"chrf": chrf_score(sums)}


class ChrfTokens(Metric):
    """Corpus chrF++ of normalised texts, with the tokens that BLEU counts (morphemes in Korean) as words."""

    name: ClassVar = "chrf_tokens"
    place: ClassVar = 21
    width: ClassVar = 3 * (CHAR_ORDER + WORD_ORDER)
    scores: ClassVar = (
        Score(
            "chrf_tokens",
            "chrF++ on tokens",
            "runs of letters in common, after normalisation",
            hub="chrf",
            on_pages=False,
        ),
    )

    def signature(self, settings: MetricSettings) -> str:
        return "chrf_tokens:c6w2b2"

    def count(self, prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings) -> list[int]:
        return chrf_statistics(
            prediction.character_ngrams, reference.character_ngrams, prediction.token_ngrams, reference.token_ngrams
        )

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        return {"chrf_tokens": chrf_score(sums)}


def spaced_words(text: str) -> list[str]:
    """The words between spaces, as chrF++ cuts them: one mark of ASCII punctuation is set apart, at the end first."""
    words: list[str] = []
    for word in text.split():
        if word.isalnum() or len(word) == 1:  # most are
            words.append(word)
        elif word[-1] in punctuation:
            words += (word[:-1], word[-1])
        elif word[0] in punctuation:
            words += (word[0], word[1:])
        else:
            words.append(word)
    return words


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
