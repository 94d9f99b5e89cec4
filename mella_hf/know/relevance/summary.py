"""Summarise the relevance of each language of a dataset in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mella_hf.know.relevance.calibrate import interval

WEAK = 0.7  # AUROC; with a third of the texts exchanged, an encoder that never errs has 0.83


@dataclass(frozen=True)
class LanguageRelevance:
    """The relevance of the pairs of one language and source.

    Attributes:
        pairs: that were measured.
        unmeasured: pairs of parts with too few of them, or without vectors.
        auroc: how often a pair is more similar than a re-paired one; None when nothing was measured.
        low, high: its 95% interval.
        chance: pairs below a relevance of 0.5.
        matched, repaired: how many cosines lie in each of equal bins from -1 to 1.
    """

    language: str
    source: str
    pairs: int
    unmeasured: int
    auroc: float | None
    low: float | None
    high: float | None
    chance: int
    matched: tuple[int, ...]
    repaired: tuple[int, ...]

    @property
    def unrelated(self) -> float | None:
        """The share of pairs that look like re-paired ones: of those, half are below 0.5 (Storey 2002)."""
        return min(1.0, 2 * self.chance / self.pairs) if self.pairs else None

    def cosine_at(self, share: float) -> float:
        """The cosine below which this share of the re-paired lies."""
        total = np.cumsum(self.repaired)
        place = int(np.searchsorted(total, share * total[-1]))
        return -1 + 2 * (place + 0.5) / len(self.repaired)

    def to_json(self) -> dict[str, Any]:
        """For programs, without the bins."""
        left_out = ("matched", "repaired")
        return {k: v for k, v in vars(self).items() if k not in left_out} | {"unrelated": self.unrelated}

    def line(self) -> str:
        """For people."""
        where = f"{self.language} {self.source}: "
        if self.auroc is None:
            return f"{where}{self.unmeasured:,} pairs, too few to measure their relevance"
        line = (
            f"{where}{self.pairs:,} pairs, AUROC {self.auroc:.3f} ({self.low:.3f} to {self.high:.3f}); "
            f"about {self.unrelated:.0%} look unrelated"
        )
        return line if self.auroc >= WEAK else f"{line}; the encoder hardly knows the language: use no cutoff"


def summarise(measures: Sequence[dict[str, Any]]) -> list[LanguageRelevance]:
    """One summary for each language and source, of the measures of their parts."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in measures:
        found.setdefault((one["language"], one["source"]), []).append(one)
    return [_summary(language, source, parts) for (language, source), parts in sorted(found.items())]


def _summary(language: str, source: str, parts: Sequence[dict[str, Any]]) -> LanguageRelevance:
    unmeasured = sum(part["unmeasured"] for part in parts)
    measured = [part for part in parts if part["pairs"]]
    count = sum(part["pairs"] for part in measured)
    if not count:
        return LanguageRelevance(language, source, 0, unmeasured, None, None, None, 0, (), ())
    mean = sum(part["relevance"] for part in measured) / count
    low, high = interval(mean, sum(part["squares"] for part in measured) / count**2, count)
    bins = (tuple(np.sum([part[kind] for part in measured], axis=0).tolist()) for kind in ("matched", "repaired"))
    chance = int(sum(part["chance"] for part in measured))
    return LanguageRelevance(language, source, count, unmeasured, mean, low, high, chance, *bins)
