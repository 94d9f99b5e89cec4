"""The base class of a metric.

A metric counts statistics of each item once. Its scores come from sums of these statistics, so intervals, floors,
paired tests and scores of parts of a corpus need nothing more from it. All results, pages, cards and signatures list
what `mella_hf.metrics.installed` finds.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mella_hf.metrics.texts.prepared import MetricSettings, Text


@dataclass(frozen=True)
class Score:
    """One number that a metric gives, and how it is shown.

    Attributes:
        name: its key in results, such as "rouge_l".
        title: its heading in tables.
        explained: a short explanation of what it measures, for pages.
        full_title: in model cards and in `mella score`; `title` by default.
        hub: the Hub's name of the metric (huggingface.co/metrics), for the metadata of model cards.
        most: the largest value; the least is 0.
        on_pages: whether reports, cards and the terminal's comparisons show it; the other scores are in JSON and in
            the table of `mella score` only.
    """

    name: str
    title: str
    explained: str
    full_title: str = ""
    hub: str = ""
    most: float = 100.0
    on_pages: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "full_title", self.full_title or self.title)
        object.__setattr__(self, "hub", self.hub or self.name)


class Metric(ABC):
    """A metric: the statistics of an item, and the scores computed from them.

    Attributes:
        name: a unique name.
        place: order in results and signatures, smallest first.
        width: number of statistics that `count` returns.
        scores: the scores that `score` returns.
    """

    name: ClassVar[str]
    place: ClassVar[int] = 100
    width: ClassVar[int]
    scores: ClassVar[tuple[Score, ...]]

    @abstractmethod
    def signature(self, settings: MetricSettings) -> str:
        """What the scores depend on besides the texts and the language, such as "bleu:corpus,exp"."""

    def survey(self, references: Collection[Sequence[str]]) -> Any:
        """Look at the words of all references before any item is counted; the result is handed to `prepare`.

        A metric that defines it, such as one with document frequencies, makes every reference be analysed beforehand.
        Each walk through `references` analyses them anew, so that a large corpus is never held: walk through them once.
        """
        return None

    def prepare(self, text: Text, survey: Any) -> Any:
        """Prepare a text for `count`, once for all items that have it. By default it stays as it is."""
        return text

    @abstractmethod
    def count(
        self, prediction: Any, reference: Any, keywords: Sequence[str], settings: MetricSettings
    ) -> Sequence[float]:
        """[width] statistics of an answer against a reference.

        Args:
            prediction: what `prepare` made of the answer.
            reference: what `prepare` made of the reference.
            keywords: names that the answer should mention; empty if unknown.
        """

    @abstractmethod
    def score(self, sums: np.ndarray, items: int) -> Mapping[str, np.ndarray]:
        """The scores by name, [...], from statistics [..., width] summed over items; NaN where there is none."""

    def intervals(self, rows: np.ndarray) -> Mapping[str, tuple[float, float]]:
        """95% intervals by name from the statistics [n, width] of n items, for scores that the bootstrap is wrong for.

        The bootstrap is wrong where hits are rare: without a hit its interval has no width. None by default.
        """
        return {}

    def difference_intervals(self, first: np.ndarray, second: np.ndarray) -> Mapping[str, tuple[float, float]]:
        """The same for the differences (second - first) of two systems' scores, both [n, width] of the same items."""
        return {}

    def item_score(self, rows: np.ndarray) -> Mapping[str, np.ndarray]:
        """The scores of single items, [n], from their statistics [n, width]."""
        return self.score(rows, 1)
