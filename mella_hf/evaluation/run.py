"""Systems and a dataset go in; a run folder for each language leaves: predictions, scores and thumbnails.

    RUN/predictions/{base,adapter,...}/{know_test,ling_test}.jsonl   answers, each with a .meta.json beside it
    RUN/thumbnails/<id>.jpg                                          the test images, small, for the report
    RUN/scores.json                                                  everything that was measured, and with what

`scores.json` is written last, so a folder that has it is whole. Giving the same call again does only
what is missing.
"""

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.evaluation.analysis import TrainingFacts, analyse
from mella_hf.evaluation.predictions import answer_rows, process_state, read_meta, read_predictions
from mella_hf.evaluation.systems import System, line_up
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
        models: "base" and, where there were any, "adapter" and others: identity, settings, parameters.
        data: name of the dataset folder, rows of each split, and the funnel (counts by source).
        scores: one flat record per model, split and subset (all | seen | unseen): scores from 0 to 100, rates
            from 0 to 1.
        training: samples, parameters and loss curve of the adapter's training, where they are known.
        versions: of what computed it.
        predictions: by model and split.
        groups, findings: what `mella_hf.evaluation.analysis` found by category and domain, and about failures.
    """

    folder: Path
    language: str
    models: dict[str, dict[str, Any]]
    data: dict[str, Any]
    scores: list[dict[str, Any]]
    training: dict[str, Any] | None
    versions: dict[str, str]
    predictions: dict[tuple[str, str], list[dict[str, Any]]]
    groups: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)

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
    **options: Any,
) -> Path:
    """Answer and score the test splits of a language with the base and with the adapter; see `evaluate_runs`.

    Returns:
        The path of scores.json.
    """
    folder = Path(out)
    evaluate_runs(line_up(base, adapter), {language: folder}, data_dir=data_dir, **options)
    return folder / SCORES_FILE


def evaluate_runs(
    systems: Sequence[System],
    runs: Mapping[str, Path],
    *,
    data_dir: Path | str | None,
    splits: Sequence[str] = TEST_SPLITS,
    batch_size: int = 16,
    max_new_tokens: Mapping[str, int] | None = None,
    device: str | None = None,
    progress: bool = True,
) -> bool:
    """Answer and score the test splits of languages with systems; each is loaded once.

    Under `accelerate launch` every process calls this, and the first one scores.

    Args:
        systems: as `line_up` gives them.
        runs: the run folder of each language.
        data_dir: dataset folder; the dataset on the Hub when None.
        max_new_tokens: by source; `predictions.MAX_NEW_TOKENS` for a source that is not named.

    Returns:
        Whether this process is the one that scored.

    Raises:
        MellaError: on an unknown language or split, an empty split.
    """
    if unknown := [split for split in splits if split not in TEST_SPLITS]:
        raise MellaError(f"Unknown test split {unknown[0]!r}; choose among {', '.join(TEST_SPLITS)}.")
    for language in runs:
        get_language(language)
    tests = {(language, split): load_split(language, data_dir, split) for language in runs for split in splits}
    if empty := [key for key, rows in tests.items() if not len(rows)]:
        raise MellaError(f"The split {empty[0][1]!r} of {empty[0][0]!r} is empty; build it, or evaluate another split.")
    state = process_state(device)
    for out in runs.values() if state.is_main_process else ():
        (out / SCORES_FILE).unlink(missing_ok=True)  # it vouches for answers that may be about to change
    training = {key: _training_facts(key[0], data_dir, key[1].removesuffix("_test")) for key in tests}
    for system in systems:
        identity, answerer = system.identity(), system.answerer(device)
        for (language, split), rows in tests.items():
            source = split.removesuffix("_test")
            facts = training[language, split]
            answer_rows(
                answerer,
                rows,
                language=language,
                source=source,
                out=_predictions_path(runs[language], system.name, split),
                identity=identity,
                seen_entities=facts.entities if facts and system.saw(language) else None,
                batch_size=batch_size,
                max_new_tokens=(max_new_tokens or {}).get(source),
                progress=progress,
            )
        del answerer  # frees its memory before the next one is loaded
    for language, out in runs.items() if state.is_main_process else ():
        for split in splits:
            write_thumbnails(tests[language, split], out / "thumbnails")
        write_scores(systems, language, out, data_dir, {split: training[language, split] for split in splits})
    state.wait_for_everyone()
    return state.is_main_process


def write_scores(
    systems: Sequence[System],
    language: str,
    out: Path,
    data_dir: Path | str | None,
    training: Mapping[str, TrainingFacts | None],
) -> Path:
    """Score the predictions in a run folder and write scores.json with all that it takes to read them.

    Args:
        training: what the training data of each test split's source holds.
    """
    files = {(s.name, split): _predictions_path(out, s.name, split) for s in systems for split in training}
    saw = {s.name: s.saw(language) for s in systems}
    rows = {split: read_meta(files["base", split])["rows"] for split in training}
    groups, findings = [], []
    for (model, split), path in files.items():
        found = analyse(read_predictions(path), language, training[split] if saw[model] else None)
        groups += [{"model": model, "split": split, **group} for group in found.groups]
        findings.append({"model": model, "split": split, **found.failures})
    record = {
        "language": language,
        "models": {s.name: _model_record(s, {split: files[s.name, split] for split in training}) for s in systems},
        "data": _data_record(data_dir, language, rows),
        "scores": [score for key, path in files.items() for score in score_predictions(path, language, *key)],
        "groups": groups,
        "findings": findings,
        "training": _training_record(systems),
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
        (model, split): read_predictions(_predictions_path(folder, model, split)) for model, split in measured
    }
    return Run(folder=folder, predictions=predictions, **record)


def _predictions_path(run: Path, model: str, split: str) -> Path:
    return run / "predictions" / model / f"{split}.jsonl"


def load_split(language: str, data_dir: Path | str | None, split: str, **options: Any) -> "Dataset":
    """A split of a language's config, from a folder or from the Hub."""
    from datasets import load_dataset

    import mella_hf  # noqa: F401  (makes "mella" known to datasets)

    return load_dataset("mella", language, data_dir=str(data_dir) if data_dir else None, split=split, **options)


def _training_facts(language: str, data_dir: Path | str | None, source: str) -> TrainingFacts | None:
    """The names in a source's training split; None where there is no such split."""
    try:
        rows = load_split(language, data_dir, source, columns=["entity", "keywords"])
    except MellaError:  # a dataset of test splits only: nobody can say what was seen
        return None
    return TrainingFacts.of(rows["entity"], rows["keywords"], language)


def _data_record(data_dir: Path | str | None, language: str, rows: Mapping[str, int]) -> dict[str, Any]:
    """What was tested on, and by source what its build kept and dropped, where it left that."""
    from mella_hf.dataset.builder import MELLA_REPO
    from mella_hf.dataset.card import read_funnel

    name = Path(data_dir).resolve().name if data_dir else os.environ.get("MELLA_REPO") or MELLA_REPO
    funnel = read_funnel(data_dir).get(language, {}) if data_dir else {}
    return {"name": name, "local": data_dir is not None, "rows": dict(rows), "funnel": funnel}


def _model_record(system: System, files: Mapping[str, Path]) -> dict[str, Any]:
    """What answered: from the meta files, and what the system calls itself in public."""
    metas = {split: read_meta(path) for split, path in files.items()}
    first = next(iter(metas.values()))
    names = ("base", "base_hash", "adapter", "adapter_hash", "parameters", "batch_size", "decoding", "device", "dtype")
    limits = {split: meta["max_new_tokens"] for split, meta in metas.items()}
    return {**{name: first[name] for name in names}, **system.record(), "max_new_tokens": limits}


def _training_record(systems: Sequence[System]) -> dict[str, Any] | None:
    """What training wrote beside the adapter, without its paths: samples, parameters and loss curve."""
    record = next((system.training() for system in systems if system.name == "adapter"), None)
    kept = ("samples", "tokens", "parameters", "log_history")
    return record and {key: record[key] for key in kept if key in record}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # running from a checkout that is not installed
            found[package] = "not installed"
    return found
