"""METEOR 1.5: two token lists in, one score out. Exact and stem matches, no synonyms, no data to fetch.

Formula and parameters: Denkowski and Lavie, "Meteor Universal" (WMT 2014), as the Java program 1.5
computes them for a language without resources (`-l other`, its constants PARAM_I and WEIGHT_I).
The Java program looks for the alignment with a beam; here the longest common run is aligned first.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

ALPHA = 0.75  # weight of recall against precision
BETA = 1.4  # how fast the penalty grows with fragmentation
GAMMA = 0.7  # the largest penalty
STEM_WEIGHT = 0.5  # of a match by stem; an exact match weighs 1


def _common_runs(hypothesis: np.ndarray, reference: np.ndarray) -> dict[int, list[tuple[int, int, int]]]:
    """Maximal runs of equal tokens: length -> [(distance, start in hypothesis, start in reference)]."""
    rows, columns = np.nonzero(hypothesis[:, None] == reference[None, :])
    # On a diagonal, rows - columns is constant: sorted by it, a run is consecutive rows.
    stride = len(hypothesis) + 1
    points = np.sort((rows - columns + len(reference)) * stride + rows)
    starts = np.flatnonzero(np.diff(points, prepend=-2) != 1)
    lengths = np.diff(starts, append=len(points))
    first = points[starts] % stride
    second = first + len(reference) - points[starts] // stride
    runs: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for length, i, j in zip(lengths.tolist(), first.tolist(), second.tolist(), strict=True):
        runs[length].append((abs(i - j), i, j))
    return runs


def align(hypothesis: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """For each hypothesis token, the index of the reference token it is matched with, or -1.

    Each token is used once. The longest run goes first, ties to the one that moves least, so the
    number of matches is the largest possible and the number of chunks is small.

    Args:
        hypothesis, reference: [n] and [m] integers; equal numbers match.
    """
    matched = [-1] * len(hypothesis)
    free = [True] * len(reference)
    runs = _common_runs(hypothesis, reference)
    for length in range(max(runs, default=0), 0, -1):
        for _, i, j in sorted(runs.get(length, ())):
            begin = 0
            for k in range(length + 1):  # cut the run where an earlier one took its tokens
                if k < length and matched[i + k] < 0 and free[j + k]:
                    continue
                if k - begin == length or (k - begin == 1 and length == 1):
                    for at in range(begin, k):
                        matched[i + at] = j + at
                        free[j + at] = False
                elif k > begin:
                    runs[k - begin].append((abs(i - j), i + begin, j + begin))
                begin = k + 1
    return np.array(matched, dtype=np.int64)


def meteor(
    hypothesis: np.ndarray,
    reference: np.ndarray,
    hypothesis_stems: np.ndarray,
    reference_stems: np.ndarray,
) -> float:
    """The score of one text, in [0, 1]; 0 when either is empty.

    Args:
        hypothesis, reference: [n] and [m] integers, one number a distinct word.
        hypothesis_stems, reference_stems: the same for their stems; equal words have equal stems.
    """
    if not len(hypothesis) or not len(reference):
        return 0.0
    matched = align(hypothesis_stems, reference_stems)
    at = np.flatnonzero(matched >= 0)
    if not len(at):
        return 0.0
    to = matched[at]
    exact = int(np.count_nonzero(hypothesis[at] == reference[to]))
    chunks = 1 + int(np.count_nonzero((np.diff(at) != 1) | (np.diff(to) != 1)))
    return score(len(at), exact, chunks, len(hypothesis), len(reference))


def score(matches: int, exact: int, chunks: int, hypothesis_length: int, reference_length: int) -> float:
    """METEOR 1.5's formula. An answer that is its reference word for word has no penalty."""
    weight = exact + STEM_WEIGHT * (matches - exact)
    precision, recall = weight / hypothesis_length, weight / reference_length
    f_mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
    whole = chunks == 1 and matches == hypothesis_length == reference_length
    fragmentation = 0.0 if whole else chunks / matches
    return f_mean * (1.0 - GAMMA * fragmentation**BETA)


def encode(*token_lists: Sequence[str]) -> list[np.ndarray]:
    """Each list of tokens as integers, equal tokens as equal numbers across the lists."""
    numbers: dict[str, int] = {}
    return [np.array([numbers.setdefault(t, len(numbers)) for t in tokens], dtype=np.int64) for tokens in token_lists]
