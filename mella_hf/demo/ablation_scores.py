"""Score the training variants over several seeds, with intervals for scores and differences.

An interval covers two sources of chance: which images were asked about, and which seed trained the model. Both are
resampled with replacement. All variants use the same draws, so differences are paired. Three seeds are few: the
intervals estimate the spread between seeds only roughly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mella_hf.answers.answers import read_predictions
from mella_hf.answers.predictions import count_answers
from mella_hf.errors import MellaError
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.installed import score_sums
from mella_hf.metrics.significance import RESAMPLES, SEED, interval
from mella_hf.metrics.statistics import FLAGS
from mella_hf.progress import progress_bar

# The measurements: (test split, score). The paper reports the first and the last.
MEASURES = {
    "know_keyword": ("know_test", "keyword_micro"),
    "know_meteor": ("know_test", "meteor"),
    "ling_meteor": ("ling_test", "meteor"),
}
RATES = ("wrong_language", "repetition")  # in [0, 1], on all test images


@dataclass(frozen=True)
class SeedMean:
    """A number with its central 95% interval."""

    value: float
    low: float
    high: float

    def as_dict(self, digits: int = 2) -> dict[str, float]:
        """Rounded, as JSON."""
        return {name: round(getattr(self, name), digits) for name in ("value", "low", "high")}


class Comparison:
    """Item statistics of every variant, with shared bootstrap draws.

    Args:
        folders: by name, one folder per seed with predictions/{know_test,ling_test}.jsonl, seeds in the same order for
            all variants; a single folder for a variant without seeds (the base).
        language: code of the answers.

    Raises:
        MellaError: if the answers are not about the same images.
    """

    def __init__(self, folders: Mapping[str, Sequence[Path]], language: str) -> None:
        self.metric = MellaMetric(language, progress=False)
        self.statistics: dict[tuple[str, str], list[np.ndarray]] = {}  # (name, split) -> [n, k] of each seed
        self.rates: dict[str, dict[str, float]] = {}
        self.images: dict[str, int] = {}
        asked: dict[str, list[str]] = {}
        for name, seeds in progress_bar(folders.items(), desc="scores", unit="way", delay=2):
            flags = []
            for split in dict.fromkeys(split for split, _ in MEASURES.values()):
                for folder in seeds:
                    answers = read_predictions(Path(folder) / "predictions" / f"{split}.jsonl")
                    ids = [answer["id"] for answer in answers]
                    if asked.setdefault(split, ids) != ids:
                        raise MellaError(
                            f"{folder} has answers about other {split} images than the first; answer all again."
                        )
                    counts = count_answers(self.metric, answers).counts
                    self.statistics.setdefault((name, split), []).append(counts.rows[:])
                    flags.append(counts.flags)
                self.images[split] = len(asked[split])
            means = np.concatenate(flags).mean(axis=0)
            self.rates[name] = {f"{rate}_rate": round(float(means[FLAGS.index(rate)]), 4) for rate in RATES}
        self.seeds = max(len(seeds) for seeds in folders.values())
        self.draws: dict[tuple[str, str], np.ndarray] = {
            (name, measure): self._draw(name, measure) for name in folders for measure in MEASURES
        }

    @cached_property
    def _drawn_seeds(self) -> np.ndarray:
        """Seed indices drawn with replacement: [resamples, seeds]."""
        return np.random.RandomState(SEED).randint(self.seeds, size=(RESAMPLES, self.seeds))

    def _drawn_images(self, split: str) -> np.ndarray:
        """How often each image of a split was drawn: [resamples, n]."""
        n = self.images[split]
        return np.random.RandomState(SEED).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)

    def _draw(self, name: str, measure: str) -> np.ndarray:
        """Resampled scores, [resamples]; each resample draws images and seeds."""
        split, score = MEASURES[measure]
        counts, rows = self._drawn_images(split), self.statistics[name, split]
        by_seed = np.stack(
            [score_sums(counts @ seed, self.images[split])[score] for seed in rows]
        )  # [seeds, resamples]
        drawn = self._drawn_seeds % len(rows)  # a variant with one seed uses it every time
        return np.take_along_axis(by_seed, drawn.T, axis=0).mean(axis=0)

    def by_seed(self, name: str, measure: str) -> list[float]:
        """The score of each seed over all images, in [0, 100]."""
        split, score = MEASURES[measure]
        return [float(score_sums(rows.sum(axis=0), self.images[split])[score]) for rows in self.statistics[name, split]]

    def estimate(self, name: str, measure: str) -> SeedMean:
        """The mean over seeds, with an interval over seeds and images."""
        return SeedMean(float(np.mean(self.by_seed(name, measure))), *interval(self.draws[name, measure]))

    def difference(self, first: str, second: str, measure: str, share: float = 1.0) -> SeedMean:
        """`first` - `share` x `second`, paired by image and seed."""
        value = float(np.mean(self.by_seed(first, measure)) - share * np.mean(self.by_seed(second, measure)))
        return SeedMean(value, *interval(self.draws[first, measure] - share * self.draws[second, measure]))
