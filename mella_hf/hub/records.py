"""What provenance.json says of a prepared adapter: every fact that its card states."""

from typing import Any, TypedDict

from mella_hf.answers.records import TrainingRecord
from mella_hf.evaluation.benchmarks.cost import BenchmarkCost
from mella_hf.evaluation.records import DataRecord, ModelRecord, ScoreRecord


class WeightsFile(TypedDict):
    """The adapter's file of weights, and its size."""

    file: str
    bytes: int


class MergeRecord(TypedDict, total=False):
    """How a merged model was made.

    Attributes:
        base_hash, adapter_hash: of what was merged.
        dtype: of the merged weights, such as "bfloat16".
        difference: the largest difference of a logit from base and adapter, as a share of their range.
        tolerance: the difference that is allowed.
    """

    base_hash: str | None
    adapter_hash: str | None
    dtype: str
    difference: float
    tolerance: float


class Provenance(TypedDict, total=False):
    """Who trained an adapter on what and how, and what came of it.

    Attributes:
        language: the code of the config that was evaluated.
        models: base and adapter, as they were evaluated.
        lora: settings of the adapter, by their names in PEFT.
        training: its samples, tokens and parameters, without the log.
        recipe: settings of the run that made it.
        licenses: training samples by licence; empty if unknown.
        costs: benchmarks before and after.
        versions: of packages.
        license: of the adapter.
        base_id, base_is_local, base_revision: the base as the card names it.
        dataset_id, dataset_is_local: the dataset as the card names it.
        merged: None or absent for an adapter.
        card_sha256: of the card as it was written.
    """

    language: str
    models: dict[str, ModelRecord]
    weights: WeightsFile
    lora: dict[str, Any]
    training: TrainingRecord
    recipe: dict[str, Any]
    data: DataRecord
    licenses: dict[str, int]
    scores: list[ScoreRecord]
    costs: list[BenchmarkCost]
    versions: dict[str, str]
    license: str
    base_id: str
    base_is_local: bool
    base_revision: str | None
    dataset_id: str
    dataset_is_local: bool
    merged: MergeRecord | None
    card_sha256: str
