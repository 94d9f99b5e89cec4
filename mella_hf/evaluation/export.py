"""Write a run's scores in the formats of others: Every Eval Ever, and the Hub's evaluation results.

    OUT/data/mella/<developer>/<model>/<language>-<mark>.json   one record of Every Eval Ever for each model
    OUT/<model>/model-index.yml                                 the metadata of a model card
    OUT/<model>/.eval_results/mella-<language>.yaml             results for the page of a model on the Hub

Every Eval Ever (https://github.com/evaleval/every_eval_ever) collects evaluations of many libraries; the records follow
its schema 0.2.1. Its records of single answers ask whether an answer is correct, which nobody can say of a description,
so they are not written; the answers stay in the run folder.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.evaluation.run import Run
from mella_hf.evaluation.scores_file import SCORES_FILE
from mella_hf.evaluation.titles import SPLIT_TITLES, metric_titles
from mella_hf.files import write_atomic
from mella_hf.languages import get_language
from mella_hf.metrics.installed import all_scores
from mella_hf.version import __version__

SCHEMA_VERSION = "0.2.1"
TASK = "image-text-to-text"


def export_runs(runs: Iterable[Run], out: Path | str) -> list[Path]:
    """Write every model of the runs in both formats.

    Returns:
        The files, in the order of the runs and their models. A model's `.eval_results` are left out for a dataset
        that is a folder, because the Hub files results under a dataset's id.

    Raises:
        MellaError: if `out` is a file.
    """
    out = Path(out)
    if out.is_file():
        raise MellaError(f"--export {str(out)!r} is a file; name a folder.")
    written = []
    for run in runs:
        for model in run.models:
            record = every_eval_ever(run, model)
            developer, name = _developer(run, model), _file_name(model_id(run, model).rpartition("/")[2])
            mark = record["dedupe_identity"]["content_hash"][:12]
            path = out / "data" / "mella" / developer / name / f"{run.language}-{mark}.json"
            written.append(_write(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n"))
            written.append(_write(out / name / "model-index.yml", model_index(run, model)))
            if not run.data.get("local"):
                path = out / name / ".eval_results" / f"mella-{run.language}.yaml"
                written.append(_write(path, eval_results(run, model)))
    return written


def every_eval_ever(run: Run, model: str) -> dict[str, Any]:
    """The record of one model of a run, by the schema of Every Eval Ever."""
    facts = run.models[model]
    made = _made_at(run)
    details = {"base": facts["base"], "base_hash": facts["base_hash"], "model": model}
    details |= {key: str(facts[key]) for key in ("adapter", "adapter_hash", "parameters", "dtype") if facts.get(key)}
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"mella/{run.language}/{model_id(run, model)}/{made:.0f}",
        "retrieved_timestamp": f"{made:.0f}",
        "evaluation_timestamp": datetime.fromtimestamp(made, UTC).isoformat(),
        "dedupe_identity": {"content_hash": _content_hash(run, model), "hash_algorithm": "sha256"},
        "source_metadata": {
            "source_name": "mella evaluate",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",  # a run does not say who made it
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": "mella_hf",
            "version": run.versions.get("mella_hf", __version__),
            "additional_details": {name: str(version) for name, version in run.versions.items()},
        },
        "model_info": {
            "name": model_id(run, model),
            "id": model_id(run, model),
            "developer": _developer(run, model),
            "additional_details": details,
        },
        "evaluation_results": [
            _result(run, score, name)
            for score in run.scores
            if score["model"] == model
            for name in metric_titles([score])
            if score[name] is not None
        ],
    }


def _result(run: Run, score: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One score of a model on one subset of a split."""
    metric, split = all_scores()[name], score["split"]
    numbers = {
        end: score[f"{name}_{end}"] for end in ("low", "high", "floor") if score.get(f"{name}_{end}") is not None
    }
    subset = "" if score["subset"] == "all" else f", {score['subset']} entities"
    uncertainty: dict[str, Any] = {"num_samples": score["n"]}
    if {"low", "high"} <= numbers.keys():
        uncertainty["confidence_interval"] = {
            "lower": numbers["low"],
            "upper": numbers["high"],
            "confidence_level": 0.95,
            "method": "bootstrap over images",
        }
    details = {"signature": score["signature"]}
    if "floor" in numbers:
        details["floor"] = f"{numbers['floor']:.4f}"
    return {
        "evaluation_name": f"mella {run.language} {_source(split)}{subset}: {metric.title}",
        "source_data": _source_data(run, score),
        "metric_config": {
            "evaluation_description": f"{metric.full_title}, {metric.explained}; {get_language(run.language).name}",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": metric.most,
        },
        "score_details": {"score": score[name], "details": details, "uncertainty": uncertainty},
        "generation_config": {
            "generation_args": {"temperature": 0, "max_tokens": run.models[score["model"]]["max_new_tokens"][split]},
            "additional_details": {"decoding": str(run.models[score["model"]]["decoding"])},
        },
    }


def _source_data(run: Run, score: Mapping[str, Any]) -> dict[str, Any]:
    name, split = run.data["name"], score["split"]
    details = {"config": run.language, "split": split, "subset": score["subset"]}
    if run.data.get("local"):
        return {"dataset_name": name, "source_type": "other", "additional_details": details}
    return {
        "dataset_name": name.rpartition("/")[2],
        "source_type": "hf_dataset",
        "hf_repo": name,
        "hf_split": "test",
        "samples_number": score["n"],
        "additional_details": details,
    }


def model_index(run: Run, model: str) -> str:
    """A model's scores over all images as the `model-index` of a model card, in YAML."""
    from huggingface_hub import ModelCardData

    scores = [score for score in run.scores if score["model"] == model]
    results = hub_results(scores, run.language, dataset=run.data["name"], local=bool(run.data.get("local")))
    return ModelCardData(model_name=_file_name(model_id(run, model).rpartition("/")[2]), eval_results=results).to_yaml()


def hub_results(scores: Iterable[Mapping[str, Any]], language: str, *, dataset: str, local: bool) -> list[Any]:
    """The scores over all images as `huggingface_hub.EvalResult`s, with intervals, floors and signatures.

    Args:
        scores: score records of one model.
        dataset: Hub id of the dataset, or the name of its folder.
        local: whether it is a folder.
    """
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=TASK,
            task_name="Image captioning",
            # The Hub takes the type for a dataset's id; for a folder it is the name of the builder that read it.
            dataset_type="mella" if local else dataset,
            dataset_name=f"{dataset} ({score['split']})",
            dataset_config=language,
            dataset_split=score["split"],
            metric_type=all_scores()[name].hub,
            metric_name=all_scores()[name].full_title,
            metric_value=round(score[name], 2),
            metric_args={
                **{end: _rounded(score[f"{name}_{end}"]) for end in _ENDS},
                "signature": score["signature"],
            },
        )
        for score, name in _whole(scores)
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def eval_results(run: Run, model: str) -> str:
    """A model's scores over all images as a file of `.eval_results` on the Hub, in YAML."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    date = datetime.fromtimestamp(_made_at(run), UTC).isoformat().replace("+00:00", "Z")
    entries = [
        EvalResultEntry(
            dataset_id=run.data["name"],
            task_id=f"{run.language}_{_source(score['split'])}_{name}",
            value=round(score[name], 2),
            date=date,
            notes=score["signature"],
        )
        for score, name in _whole(score for score in run.scores if score["model"] == model)
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True)


_ENDS = ("low", "high", "floor")


def _whole(scores: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """The scores over all images, each with the names of its metrics that were measured."""
    records = [score for score in scores if score["subset"] == "all"]
    return [(score, name) for score in records for name in metric_titles(records) if score[name] is not None]


def model_id(run: Run, model: str) -> str:
    """What the model is called elsewhere: the adapter's name, or the base's Hub id or folder name."""
    return str(run.models[model].get("adapter") or run.models[model]["base"])


def _developer(run: Run, model: str) -> str:
    """The organisation in a Hub id; "unknown" for a folder."""
    owner, sign, _ = model_id(run, model).rpartition("/")
    return _file_name(owner) if sign and not run.models[model].get("base_is_local") else "unknown"


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"


def _source(split: str) -> str:
    return SPLIT_TITLES[split][0] if split in SPLIT_TITLES else split


def _made_at(run: Run) -> float:
    """When scores.json was written, in seconds since 1970."""
    return (run.folder / SCORES_FILE).stat().st_mtime


def _content_hash(run: Run, model: str) -> str:
    text = json.dumps([score for score in run.scores if score["model"] == model], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _write(path: Path, text: str) -> Path:
    write_atomic(path, text)
    return path
