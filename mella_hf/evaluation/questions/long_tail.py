"""Keyword accuracy by how often the training data named the entity.

A model that gains only on entities that it saw often has learned names, not how to look at a picture. What it knows of
entities that training never named (bin "0") comes from the picture and from its pre-training.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.languages import Language, get_language
from mella_hf.metrics.matching import Mode, contains, distinct_keywords
from mella_hf.metrics.names.gazetteer import place_key
from mella_hf.metrics.rates import clustered_rate_interval
from mella_hf.text.tokens import analyze, arabic_bases

BINS = {"0": (0, 0), "1": (1, 1), "2-5": (2, 5), "6+": (6, math.inf)}  # training samples that name the entity

Key = tuple[str, ...]


@dataclass(frozen=True)
class EntityCounts:
    """The number of training samples that name each entity.

    Attributes:
        language: code.
        samples: number of samples counted.
        by_key: number of samples by lookup key, which ignores the entity's ending.
    """

    language: str
    samples: int
    by_key: Counter[Key]

    @classmethod
    def count(cls, keywords: Iterable[Iterable[str]], language: str) -> "EntityCounts":
        """Count the `keywords` of training samples, one list a sample.

        For samples without that column: `(extract_keywords(text, language) for text in texts)`.
        """
        entry = get_language(language)
        by_key: Counter[Key] = Counter()
        samples = 0
        for names in keywords:
            samples += 1
            by_key.update({key for name in distinct_keywords(names, entry) for key in _keys(name, entry)})
        return cls(language, samples, by_key)

    def __getitem__(self, keyword: str) -> int:
        """The number of samples that name an entity, in any form."""
        return max(self.by_key[key] for key in _keys(keyword, get_language(self.language)))


def _keys(keyword: str, language: Language) -> list[Key]:
    """Lookup keys of a keyword: its stems; in Arabic its words with and without clitics."""
    words = analyze(keyword, language).words
    if language.stemmer == "arabic" and words:
        return [(base, *words[1:]) for base in arabic_bases(words[0])]
    return [place_key(keyword, language)]


@dataclass(frozen=True)
class BinAccuracy:
    """Keyword accuracy on entities of one frequency.

    Attributes:
        bin: "0", "1", "2-5" or "6+" training samples name the entity.
        keywords, hits: number of keywords in the bin, and of those that the answers name.
        accuracy: hits / keywords in [0, 100]; `low` and `high` are its 95% interval; None without keywords.
        counts: (place of the answer, hits, keywords) of each answer that is asked for a keyword of the bin.
    """

    bin: str
    keywords: int
    hits: int
    accuracy: float | None
    low: float | None
    high: float | None
    counts: list[tuple[int, int, int]] = field(default_factory=list)


def accuracy_by_frequency(
    answers: Sequence[str],
    keywords: Sequence[Iterable[str] | None],
    counts: EntityCounts,
    mode: Mode = "stem",
) -> list[BinAccuracy]:
    """Micro keyword accuracy in each bin; together the bins contain every keyword that `keyword_micro` counts.

    Args:
        answers: one text per image.
        keywords: keywords of each image; None or an empty list if it has none.
        counts: entity counts of the training set, in the language of the answers.

    Raises:
        MellaError: if the lists differ in length, or for an unknown mode.
    """
    if len(answers) != len(keywords):
        raise MellaError(
            f"There are {len(answers)} answers and {len(keywords)} keyword lists; give one of each for every image."
        )
    entry = get_language(counts.language)
    found: dict[str, list[tuple[int, int, int]]] = {label: [] for label in BINS}
    for at, (answer, names) in enumerate(zip(answers, keywords, strict=True)):
        analysis = analyze(answer, entry)
        asked: Counter[str] = Counter()
        hit: Counter[str] = Counter()
        for keyword in distinct_keywords(names or (), entry):
            label = _bin(counts[keyword])
            asked[label] += 1
            hit[label] += contains(analysis, keyword, mode)
        for label, total in asked.items():
            found[label].append((at, hit[label], total))
    return [_accuracy(label, counted) for label, counted in found.items()]


def _bin(count: int) -> str:
    return next(label for label, (low, high) in BINS.items() if low <= count <= high)


def _accuracy(label: str, counts: list[tuple[int, int, int]]) -> BinAccuracy:
    if not counts:
        return BinAccuracy(label, 0, 0, None, None, None)
    _, hits, totals = np.array(counts).T
    low, high = clustered_rate_interval(hits, totals)
    accuracy = 100.0 * float(hits.sum() / totals.sum())
    return BinAccuracy(label, int(totals.sum()), int(hits.sum()), accuracy, 100.0 * low, 100.0 * high, counts)
