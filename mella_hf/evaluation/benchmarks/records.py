"""What a benchmark of a system gives, as it stands in its JSON file."""

from typing import Any, TypedDict

from mella_hf.answers.records import ModelIdentity
from mella_hf.evaluation.records import ScoreRecord


class BenchmarkResult(TypedDict):
    """One system's result on one benchmark.

    Attributes:
        benchmark: the fields of `Benchmark`.
        model: that answered.
        scores: for captions those of `MellaMetric`, against the reference that is nearest to the answer (METEOR). For
            choices `accuracy` in [0, 100] with its exact 95% interval, `chance`, and `unreadable_rate`, the share of
            answers that choose no option; these count as wrong.
    """

    benchmark: dict[str, Any]
    model: ModelIdentity
    scores: ScoreRecord


class SystemResult(BenchmarkResult):
    """The same with the system's name in the run."""

    system: str
