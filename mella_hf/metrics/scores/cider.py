"""CIDEr-D: n-grams in common with the reference, weighted by how few references of the corpus have them.

Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation" (CVPR 2015), on the words of the
language and with one reference an image; equal to pycocoevalcap's `Cider` on the same words, times 100, as papers
report it. Document frequencies are those of all references that are scored together. Resamples and parts of a corpus
keep them, as they keep an item's score.
"""

from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.texts.ngrams import ngram_keys
from mella_hf.metrics.texts.prepared import MetricSettings, Text

ORDER = 4
SIGMA = 6.0  # words: how fast a difference in length lowers the score
FACTOR = 10.0  # of the paper's CIDEr-D
_NGRAMS = 4_000_000  # n-grams of an order that are counted at a time: some 100 MB
_TEXTS = 10_000  # references whose n-grams are made at a time


@dataclass(frozen=True)
class Frequencies:
    """In how many references n-grams occur.

    Attributes:
        references: how many references there are.
        keys: of each order, the n-grams of two references or more, sorted; the others weigh as much as those of one.
        counts: of each order, in how many references each of `keys` is.
    """

    references: int
    keys: list[np.ndarray]
    counts: list[np.ndarray]

    def weights(self, order: int, keys: np.ndarray) -> np.ndarray:
        """[n] inverse document frequencies of n-grams: log(references / those that have it)."""
        counts = np.ones(len(keys))
        if len(self.keys[order]):
            at = np.minimum(np.searchsorted(self.keys[order], keys), len(self.keys[order]) - 1)
            known = self.keys[order][at] == keys
            counts[known] = self.counts[order][at[known]]
        return np.log(float(self.references)) - np.log(counts)


@dataclass(frozen=True)
class Vector:
    """The weighted n-grams of a text, order by order.

    Attributes:
        keys: the different n-grams, sorted.
        weights: how often each occurs, times its inverse document frequency.
        norms: the length of `weights`.
        bigrams: how many bigrams the text has, which is what pycocoevalcap takes for its length.
    """

    keys: list[np.ndarray]
    weights: list[np.ndarray]
    norms: list[float]
    bigrams: int


class CiderD(Metric):
    """The mean of the items' CIDEr-D."""

    name: ClassVar = "cider"
    place: ClassVar = 50
    width: ClassVar = 1
    scores: ClassVar = (
        Score(
            "cider",
            "CIDEr-D",
            "rare runs of one to four words in common; at most 1000",
            full_title="CIDEr-D (at most 1000)",
            most=100 * FACTOR,
        ),
    )

    def signature(self, settings: MetricSettings) -> str:
        return "cider:d,n4s6,df:refs"

    def survey(self, references: Collection[Sequence[str]]) -> Frequencies:
        words, lengths = array("q"), array("I")
        for text in references:
            words.extend(map(hash, text))
            lengths.append(len(text))
        numbers, ends = np.frombuffer(words, dtype=np.int64), np.cumsum(np.frombuffer(lengths, dtype=np.uint32))
        keys, counts = [], []
        for order in range(ORDER):
            found = [_repeated(numbers, ends, order, part) for part in _parts(len(numbers))]
            keys.append(np.concatenate([part for part, _ in found]))
            counts.append(np.concatenate([times for _, times in found]))
        return Frequencies(len(references), keys, counts)

    def prepare(self, text: Text, survey: Frequencies) -> Vector:
        keys, weights = [], []
        for order, found in enumerate(ngram_keys(_hashes(text.analysis.words), ORDER)):
            distinct, times = np.unique(found, return_counts=True)
            keys.append(distinct)
            weights.append(times * survey.weights(order, distinct))
        norms = [float(np.linalg.norm(weight)) for weight in weights]
        return Vector(keys, weights, norms, max(0, len(text.words) - 1))

    def count(
        self, prediction: Vector, reference: Vector, keywords: Sequence[str], settings: MetricSettings
    ) -> list[float]:
        return [cider_d(prediction, reference)]

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        return {"cider": 100.0 * sums[..., 0] / items}


def cider_d(prediction: Vector, reference: Vector) -> float:
    """CIDEr-D of one answer, in [0, 10]."""
    similarities = []
    for order in range(ORDER):
        _, ours, theirs = np.intersect1d(
            prediction.keys[order], reference.keys[order], assume_unique=True, return_indices=True
        )
        weights, others = prediction.weights[order][ours], reference.weights[order][theirs]
        norm = prediction.norms[order] * reference.norms[order]
        similarities.append(float(np.minimum(weights, others) @ others) / norm if norm else 0.0)
    shorter = prediction.bigrams - reference.bigrams
    return FACTOR * float(np.mean(similarities)) * float(np.exp(-(shorter**2) / (2 * SIGMA**2)))


def _parts(words: int) -> list[tuple[int, int]]:
    """Ranges of keys, first and last, of which each holds some millions of n-grams of a corpus with so many words."""
    count = words // _NGRAMS + 1
    edges = [(1 << 64) * at // count for at in range(count + 1)]
    return [(first, end - 1) for first, end in pairwise(edges)]


def _repeated(words: np.ndarray, ends: np.ndarray, order: int, part: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams of two references or more whose keys are in a range, sorted, and in how many references they are.

    Args:
        words: [n] the words of all references, one after the other.
        ends: where each reference ends.
        order: n - 1.
    """
    occurring = []
    for first in range(0, len(ends), _TEXTS):  # some references at a time
        last = min(first + _TEXTS, len(ends)) - 1
        start = int(ends[first - 1]) if first else 0
        *_, keys = ngram_keys(words[start : int(ends[last])], order + 1)
        sizes: np.ndarray = np.diff(ends[first : last + 1].astype(np.int64), prepend=start)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        owner = owners[: len(keys)]
        kept = (
            (owner == owners[order : order + len(keys)]) & (keys >= np.uint64(part[0])) & (keys <= np.uint64(part[1]))
        )
        keys, owner = keys[kept], owner[kept]  # an n-gram is of one text, not of two neighbours
        by_text = np.lexsort((keys, owner))
        keys, owner = keys[by_text], owner[by_text]
        again = (keys[1:] == keys[:-1]) & (owner[1:] == owner[:-1])
        occurring.append(np.delete(keys, np.flatnonzero(again) + 1))
    found, times = np.unique(np.concatenate(occurring), return_counts=True)
    return found[times > 1], times[times > 1].astype(np.uint32)


def _hashes(words: Sequence[str]) -> np.ndarray:
    """[n] a number for each word, the same in this process and in those forked from it."""
    return np.fromiter(map(hash, words), dtype=np.int64, count=len(words))
