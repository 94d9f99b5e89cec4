"""Score the predictions in a run folder and write scores.json."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mella_hf.answers.answers import read_meta, read_predictions
from mella_hf.answers.predictions import count_answers
from mella_hf.answers.records import Prediction, TrainingRecord
from mella_hf.answers.systems import System
from mella_hf.evaluation.analysis import TrainingFacts, analyse
from mella_hf.evaluation.records import DataRecord, ModelRecord, ScoreRecord
from mella_hf.files import write_atomic

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics, MellaMetric

SCORES_FILE = "scores.json"
VERSIONED = ("mella_hf", "torch", "transformers", "peft", "datasets")


def write_scores(
    systems: Sequence[System],
    language: str,
    out: Path,
    data_dir: Path | str | None,
    training: Mapping[str, TrainingFacts | None],
) -> Path:
    """Score the predictions in a run folder and write scores.json.

    Args:
        training: names in the training data of each test split's source.

    Raises:
        MissingExtraError: if the language's tokenizer or the gazetteer is not installed.
    """
    from mella_hf.metrics import MellaMetric

    files = {(s.name, split): predictions_path(out, s.name, split) for s in systems for split in training}
    saw = {s.name: s.saw(language) for s in systems}
    rows = {split: read_meta(files["base", split])["rows"] for split in training}
    metric = MellaMetric(language)
    scores, groups, findings = [], [], []
    for (model, split), path in files.items():
        place, predictions = {"model": model, "split": split}, read_predictions(path)
        counted = count_answers(metric, predictions)
        found = analyse(predictions, counted, metric, training[split] if saw[model] else None)
        scores += [place | score for score in score_subsets(predictions, counted, metric)]
        groups += [place | group for group in found.groups]
        findings.append(place | found.failures)
    record = {
        "language": language,
        "models": {s.name: _model_record(s, {split: files[s.name, split] for split in training}) for s in systems},
        "data": _data_record(data_dir, language, rows),
        "scores": scores,
        "groups": groups,
        "findings": findings,
        "training": _training_record(systems),
        "versions": _versions(),
    }
    write_atomic(out / SCORES_FILE, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return out / SCORES_FILE


def score_subsets(
    predictions: Sequence[Prediction], counted: "ItemStatistics", metric: "MellaMetric"
) -> list[ScoreRecord]:
    """Scores over all images, and over seen and unseen entities if known; floors always use all images.

    Args:
        counted: item statistics of the predictions.
    """
    places = range(len(predictions))
    subsets = {
        "all": list(places),
        "seen": [at for at in places if predictions[at]["seen"] is True],
        "unseen": [at for at in places if predictions[at]["seen"] is False],
    }
    return [
        {"subset": name, **metric.score(counted.subset(members))}
        | {"truncated_rate": sum(predictions[at]["truncated"] for at in members) / len(members)}
        for name, members in subsets.items()
        if members
    ]


def predictions_path(run: Path, model: str, split: str) -> Path:
    """The file with a model's answers to a split in a run folder."""
    return run / "predictions" / model / f"{split}.jsonl"


def _data_record(data_dir: Path | str | None, language: str, rows: Mapping[str, int]) -> DataRecord:
    """The test data, and how many rows its build kept and dropped by source, if the build recorded it."""
    from mella_hf.dataset.builder import MELLA_REPO
    from mella_hf.dataset.card.card import read_funnel

    name = Path(data_dir).resolve().name if data_dir else os.environ.get("MELLA_REPO") or MELLA_REPO
    funnel = read_funnel(data_dir).get(language, {}) if data_dir else {}
    return {"name": name, "local": data_dir is not None, "rows": dict(rows), "funnel": funnel}


def _model_record(system: System, files: Mapping[str, Path]) -> ModelRecord:
    """The model that answered, from the meta files, and its public name."""
    metas = {split: read_meta(path) for split, path in files.items()}
    first = next(iter(metas.values()))
    record: ModelRecord = {
        "base": first["base"],
        "base_hash": first["base_hash"],
        "adapter": first["adapter"],
        "adapter_hash": first["adapter_hash"],
        "parameters": first["parameters"],
        "batch_size": first["batch_size"],
        "decoding": first["decoding"],
        "device": first["device"],
        "dtype": first["dtype"],
    }
    record.update(system.record())  # type: ignore[typeddict-item]  # names as the report shows them
    record["max_new_tokens"] = {split: meta["max_new_tokens"] for split, meta in metas.items()}
    return record


def _training_record(systems: Sequence[System]) -> TrainingRecord | None:
    """The training record beside the adapter, without paths: samples, parameters and loss curve."""
    record = next((system.training() for system in systems if system.name == "adapter"), None)
    kept = TrainingRecord.__annotations__
    return None if record is None else cast(TrainingRecord, {k: v for k, v in record.items() if k in kept})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
            found[package] = "not installed"
    return found
