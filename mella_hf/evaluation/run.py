"""A base, an adapter and a dataset go in; a run folder leaves: predictions, scores and thumbnails.

    RUN/predictions/{base,adapter}/{know_test,ling_test}.jsonl   answers, each with a .meta.json beside it
    RUN/thumbnails/<id>.jpg                                      the test images, small, for the report
    RUN/scores.json                                              everything that was measured, and with what

`scores.json` is written last, so a folder that has it is whole. Giving the same call again does only
what is missing.
"""

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.evaluation.generate import generate, read_meta, read_predictions
from mella_hf.evaluation.models import check_adapter, load_model, model_identity, model_name, read_adapter_config
from mella_hf.languages import get_language
from mella_hf.stage import write_atomic

if TYPE_CHECKING:
    from datasets import Dataset

TEST_SPLITS = ("know_test", "ling_test")
SCORES_FILE = "scores.json"
THUMBNAIL_SIDE = 144  # px of the longer side: the report shows them at 96 CSS px
VERSIONED = ("mella_hf", "torch", "transformers", "peft", "datasets")


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    Attributes:
        folder: where it was read from.
        language: code.
        models: "base" and, where there was one, "adapter": identity, settings, parameters.
        data: name of the dataset folder, rows of each split, and the funnel (counts by source).
        scores: one flat record per model, split and subset (all | seen | unseen): scores from 0 to 100, rates
            from 0 to 1.
        training: samples, parameters and loss curve of the adapter's training, where they are known.
        versions: of what computed it.
        predictions: by model and split.
    """

    folder: Path
    language: str
    models: dict[str, dict[str, Any]]
    data: dict[str, Any]
    scores: list[dict[str, Any]]
    training: dict[str, Any] | None
    versions: dict[str, str]
    predictions: dict[tuple[str, str], list[dict[str, Any]]]

    def score(self, model: str, split: str, subset: str = "all") -> dict[str, Any] | None:
        """The record of one model, split and subset; None where it was not measured."""
        wanted = (model, split, subset)
        return next((s for s in self.scores if (s["model"], s["split"], s["subset"]) == wanted), None)


def evaluate_run(
    *,
    base: str,
    data_dir: Path | str | None,
    language: str,
    out: Path | str,
    adapter: Path | str | None = None,
    splits: Sequence[str] = TEST_SPLITS,
    batch_size: int = 16,
    max_new_tokens: Mapping[str, int] | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Path:
    """Answer and score the test splits of a language with the base and with the adapter.

    Args:
        base: Hub id or folder.
        data_dir: dataset folder; the dataset on the Hub when None.
        out: the run folder.
        adapter: adapter folder; without one only the base is measured.
        max_new_tokens: by source; `generate.MAX_NEW_TOKENS` for a source that is not named.

    Returns:
        The path of scores.json.

    Raises:
        MellaError: on an unknown language or split, an adapter of another base, an empty split.
    """
    get_language(language)
    out = Path(out)
    if unknown := [split for split in splits if split not in TEST_SPLITS]:
        raise MellaError(f"Unknown test split {unknown[0]!r}; choose among {', '.join(TEST_SPLITS)}.")
    if adapter is not None:
        check_adapter(base, adapter)  # before minutes go into the base's answers
    tests = {split: _load_split(language, data_dir, split) for split in splits}
    if empty := [split for split, rows in tests.items() if not len(rows)]:
        raise MellaError(f"The split {empty[0]!r} of {language!r} is empty; build it, or evaluate another split.")
    (out / SCORES_FILE).unlink(missing_ok=True)  # it vouches for answers that may be about to change
    seen = {split: _training_entities(language, data_dir, split.removesuffix("_test")) for split in splits}
    folders = {"base": None} if adapter is None else {"base": None, "adapter": adapter}
    files: dict[tuple[str, str], Path] = {}
    for name, folder in folders.items():
        identity = model_identity(base, folder)
        model, processor = load_model(base, folder, device=device)
        for split, rows in tests.items():
            source = split.removesuffix("_test")
            files[name, split] = generate(
                model,
                processor,
                rows,
                language=language,
                source=source,
                out=out / "predictions" / name / f"{split}.jsonl",
                identity=identity,
                seen_entities=seen[split],
                batch_size=batch_size,
                max_new_tokens=(max_new_tokens or {}).get(source),
                progress=progress,
            )
        del model  # frees its memory before the next one is loaded
    for rows in tests.values():
        write_thumbnails(rows, out / "thumbnails")
    return write_scores(files, language, out, adapter=adapter, data_dir=data_dir)


def write_scores(
    files: Mapping[tuple[str, str], Path],
    language: str,
    out: Path,
    *,
    adapter: Path | str | None,
    data_dir: Path | str | None,
) -> Path:
    """Score predictions files, by model and split, and write scores.json with all that it takes to read them."""
    splits: dict[str, dict[str, Path]] = {}
    for (name, split), path in files.items():
        splits.setdefault(name, {})[split] = path
    rows = {split: read_meta(path)["rows"] for split, path in splits["base"].items()}
    record = {
        "language": language,
        "models": {name: _model_record(paths) for name, paths in splits.items()},
        "data": _data_record(data_dir, language, rows),
        "scores": [score for key, path in files.items() for score in score_predictions(path, language, *key)],
        "training": _training_record(adapter),
        "versions": _versions(),
    }
    write_atomic(out / SCORES_FILE, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return out / SCORES_FILE


def score_predictions(path: Path, language: str, model: str, split: str) -> list[dict[str, Any]]:
    """Scores of a predictions file over all its images, and over seen and unseen entities where marked."""
    from mella_hf.metrics import MellaMetric

    predictions = read_predictions(path)
    subsets = {
        "all": predictions,
        "seen": [p for p in predictions if p["seen"] is True],
        "unseen": [p for p in predictions if p["seen"] is False],
    }
    metric = MellaMetric(language)
    records = []
    for subset, members in subsets.items():
        if not members:
            continue
        keywords = [p["keywords"] or [] for p in members]
        scores = metric.compute(
            predictions=[p["prediction"] for p in members],
            references=[p["reference"] for p in members],
            keywords=keywords if any(keywords) else None,
            check_references=subset == "all",  # few short texts can look like a neighbour's language
        )
        truncated = sum(p["truncated"] for p in members) / len(members)
        records.append({"model": model, "split": split, "subset": subset, **scores, "truncated_rate": truncated})
    return records


def write_thumbnails(rows: "Dataset", folder: Path) -> None:
    """A small JPEG of each image, named by its id; those that are there already are left."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, image_id in enumerate(rows["id"]):
        target = folder / f"{image_id}.jpg"
        if target.exists():
            continue
        image = rows[i]["image"].convert("RGB")
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        aside = target.with_suffix(".tmp")
        image.save(aside, "JPEG", quality=75, optimize=True)
        aside.replace(target)


def load_run(folder: Path | str) -> Run:
    """Read a run folder. Raises MellaError when it is not one, or not finished."""
    folder = Path(folder)
    path = folder / SCORES_FILE
    if not path.is_file():
        raise MellaError(
            f"{str(folder)!r} holds no finished evaluation: {SCORES_FILE} is missing. "
            f"Run `mella evaluate --out {folder}` with your base and adapter first; it resumes."
        )
    record = json.loads(path.read_text("utf-8"))
    measured = dict.fromkeys((score["model"], score["split"]) for score in record["scores"])
    predictions = {
        (model, split): read_predictions(folder / "predictions" / model / f"{split}.jsonl") for model, split in measured
    }
    return Run(folder=folder, predictions=predictions, **record)


def _load_split(language: str, data_dir: Path | str | None, split: str) -> "Dataset":
    from datasets import load_dataset

    import mella_hf  # noqa: F401  (makes "mella" known to datasets)

    return load_dataset("mella", language, data_dir=str(data_dir) if data_dir else None, split=split)


def _training_entities(language: str, data_dir: Path | str | None, source: str) -> frozenset[str] | None:
    """The entities in a source's training split; None when there is no such split or it names none."""
    from datasets import load_dataset

    try:
        rows = load_dataset(
            "mella", language, data_dir=str(data_dir) if data_dir else None, split=source, columns=["entity"]
        )
    except MellaError:  # a dataset of test splits only: nobody can say what was seen
        return None
    return frozenset(entity for entity in rows["entity"] if entity is not None) or None


def _data_record(data_dir: Path | str | None, language: str, rows: Mapping[str, int]) -> dict[str, Any]:
    """What was tested on, and by source what its build kept and dropped, where it left that."""
    from mella_hf.dataset.builder import MELLA_REPO
    from mella_hf.dataset.card import read_funnel

    name = Path(data_dir).resolve().name if data_dir else os.environ.get("MELLA_REPO") or MELLA_REPO
    funnel = read_funnel(data_dir).get(language, {}) if data_dir else {}
    return {"name": name, "local": data_dir is not None, "rows": dict(rows), "funnel": funnel}


def _model_record(files: Mapping[str, Path]) -> dict[str, Any]:
    """What answered, from the meta files; folders by name only, since a report travels and paths do not."""
    metas = {split: read_meta(path) for split, path in files.items()}
    first = next(iter(metas.values()))
    names = ("base", "base_hash", "adapter", "adapter_hash", "parameters", "batch_size", "decoding", "device", "dtype")
    record = {name: first[name] for name in names} | {"base_is_local": Path(first["base"]).is_dir()}
    record["base"] = model_name(record["base"])
    if record["adapter"]:
        config = read_adapter_config(record["adapter"])
        kind = {"LORA": "LoRA"}.get(config["peft_type"], config["peft_type"])
        record["adapter_kind"] = f"{kind}, rank {config['r']}" if "r" in config else kind
        record["adapter"] = Path(record["adapter"]).resolve().name
    return {**record, "max_new_tokens": {split: meta["max_new_tokens"] for split, meta in metas.items()}}


def _training_record(adapter: Path | str | None) -> dict[str, Any] | None:
    """What training wrote beside its adapter, without its paths: samples, parameters and loss curve."""
    path = Path(adapter).resolve().parent / "training.json" if adapter is not None else None
    if path is None or not path.is_file():
        return None
    record = json.loads(path.read_text("utf-8"))
    return {key: record[key] for key in ("samples", "tokens", "parameters", "log_history") if key in record}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # running from a checkout that is not installed
            found[package] = "not installed"
    return found
