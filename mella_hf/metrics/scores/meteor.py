"""METEOR 1.5 with exact and stem matches, without synonyms or data files.

Formula and parameters: Denkowski and Lavie, "Meteor Universal" (WMT 2014), as the Java program 1.5 computes them for a
language without resources (`-l other`, its constants PARAM_I and WEIGHT_I). The Java program searches for the alignment
with a beam, which finds more chunks than there need be; here the longest common run is aligned first.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import eq
from typing import Any, ClassVar

import numpy as np

from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.texts.prepared import MetricSettings, Text
from mella_hf.text.tokens import TokenAnalysis

ALPHA = 0.75  # weight of recall against precision
BETA = 1.4  # how fast the penalty grows with fragmentation
GAMMA = 0.7  # the largest penalty
STEM_WEIGHT = 0.5  # of a match by stem; an exact match weighs 1

_INT32_BASE = 46340  # its square fits 31 bits

Run = tuple[int, int, int]  # length, start in hypothesis, start in reference


def _maximal_runs(hypothesis: np.ndarray, reference: np.ndarray, size: int) -> dict[int, list[tuple[int, int, int]]]:
    """Runs of two or more equal tokens: length -> [(distance, start in hypothesis, start in reference)].

    Runs are found by their bigrams: single words, which match in far more places, make no chunk longer.
    """
    ours, theirs = hypothesis[:-1] * size + hypothesis[1:], reference[:-1] * size + reference[1:]
    if size < _INT32_BASE:  # half the bytes to compare
        ours, theirs = ours.astype(np.int32), theirs.astype(np.int32)
    points = np.flatnonzero(ours[:, None] == theirs)
    # On a diagonal, row - column is constant: sorted by it, a run is consecutive rows.
    rows, columns = np.divmod(points, len(theirs))
    stride = len(hypothesis) + 1
    points = (rows - columns + len(reference)) * stride + rows
    points.sort()
    runs: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    length, before = 1, -2
    for point in [*points.tolist(), -2]:
        if point == before + 1:
            length += 1
        elif before >= 0:
            diagonal, last = divmod(before, stride)
            i = last - length + 2
            j = i + len(reference) - diagonal
            runs[length].append((abs(i - j), i, j))
            length = 2
        else:
            length = 2
        before = point
    return runs


def longest_runs_first(
    hypothesis: np.ndarray, reference: np.ndarray, size: int
) -> tuple[list[Run], bytearray, bytearray]:
    """Runs of two or more tokens that are aligned, no token twice: the longest first, ties to the one that moves least.

    Args:
        hypothesis, reference: [n] and [m] integers below `size`; equal numbers match.

    Returns:
        The runs, and for each token of the hypothesis and of the reference 1 if it is in one.
    """
    used, taken = bytearray(len(hypothesis)), bytearray(len(reference))
    aligned: list[Run] = []
    if len(hypothesis) < 2 or len(reference) < 2:
        return aligned, used, taken
    runs = _maximal_runs(hypothesis, reference, size)
    for length in range(max(runs, default=1), 1, -1):
        for _, i, j in sorted(runs.get(length, ())):
            if 1 not in used[i : i + length] and 1 not in taken[j : j + length]:
                aligned.append((length, i, j))
                used[i : i + length] = taken[j : j + length] = b"\1" * length
                continue
            begin = 0
            for k in range(length + 1):  # keep what earlier runs left of this one
                if k < length and not used[i + k] and not taken[j + k]:
                    continue
                if k - begin > 1:
                    runs[k - begin].append((abs(i - j), i + begin, j + begin))
                begin = k + 1
    return aligned, used, taken


def _shared(first: np.ndarray, second: np.ndarray, size: int) -> int:
    """How many numbers below `size` two lists share, each as often as in the list that has it less often."""
    return int(np.minimum(np.bincount(first, minlength=size), np.bincount(second, minlength=size)).sum())


def meteor(
    hypothesis: np.ndarray,
    reference: np.ndarray,
    hypothesis_stems: np.ndarray,
    reference_stems: np.ndarray,
) -> float:
    """The score of one text, in [0, 1]; 0 when either is empty.

    Words outside the aligned runs are matched one by one, exact before stem; which of equal words is
    taken changes neither the number of matches nor of chunks, so they are only counted.

    Args:
        hypothesis, reference: [n] and [m] non-negative integers, one number a distinct word.
        hypothesis_stems, reference_stems: the same for their stems; equal words have equal stems.
    """
    if not len(hypothesis) or not len(reference):
        return 0.0
    size = int(max(hypothesis.max(), reference.max(), hypothesis_stems.max(), reference_stems.max())) + 1
    matches = _shared(hypothesis_stems, reference_stems, size)
    if not matches:
        return 0.0
    runs, used, taken = longest_runs_first(hypothesis_stems, reference_stems, size)
    singles = matches - sum(length for length, _, _ in runs)
    exact = matches
    if hypothesis_stems is not hypothesis:
        rest, other_rest = np.frombuffer(used, dtype=np.int8) == 0, np.frombuffer(taken, dtype=np.int8) == 0
        exact = _shared(hypothesis[rest], reference[other_rest], size)
        ours, theirs = hypothesis.tolist(), reference.tolist()
        for length, i, j in runs:
            exact += sum(map(eq, ours[i : i + length], theirs[j : j + length]))
    return score(matches, exact, len(runs) + singles, len(hypothesis), len(reference))


def score(matches: int, exact: int, chunks: int, hypothesis_length: int, reference_length: int) -> float:
    """METEOR 1.5's formula. An answer that is its reference word for word has no penalty."""
    weight = exact + STEM_WEIGHT * (matches - exact)
    precision, recall = weight / hypothesis_length, weight / reference_length
    f_mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
    whole = chunks == 1 and matches == hypothesis_length == reference_length
    fragmentation = 0.0 if whole else chunks / matches
    return f_mean * (1.0 - GAMMA * fragmentation**BETA)


def own_meteor(prediction: Text, reference: Text) -> float:
    """METEOR 1.5, exact + stem."""
    return meteor(prediction.words, reference.words, prediction.stems, reference.stems)


def nltk_meteor(prediction: Text, reference: Text) -> float:
    """nltk's METEOR with its own parameters: for comparison with published numbers."""
    return score_by_nltk(prediction.analysis, reference.analysis)


def score_by_nltk(prediction: TokenAnalysis, reference: TokenAnalysis, **parameters: float) -> float:
    """nltk's METEOR of one text on our words and stems, without WordNet, in [0, 1]; 0 when either is empty.

    Args:
        parameters: alpha, beta and gamma; nltk's own by default.
    """
    from nltk.translate.meteor_score import single_meteor_score

    if not prediction.words or not reference.words:
        return 0.0
    words, stems = prediction.words + reference.words, prediction.stems + reference.stems
    return float(
        single_meteor_score(
            reference.words,
            prediction.words,
            preprocess=str,
            stemmer=StemTable(dict(zip(words, stems, strict=True))),
            wordnet=NoWordNet(),
            **parameters,
        )
    )


class StemTable:
    """nltk's stemmer interface over stems that are known already."""

    def __init__(self, stems: dict[str, str]):
        self.stem = stems.__getitem__


class NoWordNet:
    """nltk's WordNet interface with no synonyms."""

    def synsets(self, word: str) -> list[Any]:
        """No synonyms, for any word."""
        return []


METEORS: dict[str, Callable[[Text, Text], float]] = {"exact+stem": own_meteor, "nltk": nltk_meteor}


class Meteor(Metric):
    """The mean of the items' METEOR, by this file or by nltk."""

    name: ClassVar = "meteor"
    place: ClassVar = 40
    width: ClassVar = 1
    scores: ClassVar = (Score("meteor", "METEOR", "words in common, stemmed, in order", "METEOR (exact + stem)"),)

    def signature(self, settings: MetricSettings) -> str:
        return f"meteor:{settings.meteor}" + (",a.75b1.4g.7s.5" if settings.meteor == "exact+stem" else "")

    def count(
        self, prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings
    ) -> list[float]:
        return [METEORS[settings.meteor](prediction, reference)]

    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        return {"meteor": 100.0 * sums[..., 0] / items}
