"""Evaluate systems on a dataset: one run folder per language, with predictions, scores and thumbnails.

    RUN/predictions/{base,adapter,...}/{know_test,ling_test}.jsonl   answers, each with a .meta.json beside it
    RUN/thumbnails/<id>.jpg                                          the test images, small, for the report
    RUN/scores.json                                                  all measurements, and how they were made

`scores.json` is written last, so a folder that has it is complete. The same call again does only what is missing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.answers import process_state, read_predictions
from mella_hf.answers.predictions import answer_rows, check_before_asking
from mella_hf.answers.records import Prediction, TrainingRecord
from mella_hf.answers.systems import System, line_up
from mella_hf.errors import MellaError
from mella_hf.evaluation.analysis import TrainingFacts
from mella_hf.evaluation.questions.records import Finding
from mella_hf.evaluation.records import DataRecord, GroupRecord, ModelRecord, ScoreRecord
from mella_hf.evaluation.scores_file import SCORES_FILE, predictions_path, write_scores
from mella_hf.evaluation.titles import metric_titles
from mella_hf.files import write_atomic
from mella_hf.html.notebook import html_table
from mella_hf.hub_errors import no_endless_wait
from mella_hf.images.thumbnail import small_jpeg
from mella_hf.languages import get_language
from mella_hf.progress import progress_bar

if TYPE_CHECKING:
    from datasets import Dataset

    from mella_hf.metrics import ItemStatistics

TEST_SPLITS = ("know_test", "ling_test")
THUMBNAIL_SIDE = 144  # px of the longer side; the report shows them at 96 CSS px


@dataclass(frozen=True, repr=False)
class Run:
    """The content of a run folder.

    Attributes:
        folder: the folder that was read.
        language: code.
        models: "base", "adapter" and others, if there were any.
        data: the test data.
        scores: one flat record per model, split and subset (all | seen | unseen): scores from 0 to 100, rates
            from 0 to 1.
        training: the adapter's training, if known.
        versions: versions of the packages that computed the run.
        predictions: the answers by model and split.
        groups, findings: results of `mella_hf.evaluation.analysis`: by category and domain, and about failures.
        counted: item statistics of the answers by model and split, where they were counted already.
        note: what `mella_hf.evaluation.recompute` found; "" where the scores are as scores.json has them.
    """

    folder: Path
    language: str
    models: dict[str, ModelRecord]
    data: DataRecord
    scores: list[ScoreRecord]
    training: TrainingRecord | None
    versions: dict[str, str]
    predictions: dict[tuple[str, str], list[Prediction]]
    groups: list[GroupRecord] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counted: "Mapping[tuple[str, str], ItemStatistics] | None" = None
    note: str = ""

    def __repr__(self) -> str:
        lines = [score_line(self.language, record) for record in self.scores if record["subset"] == "all"]
        return "\n".join([f"Run({str(self.folder)!r}): {', '.join(self.models)}", *lines])

    def _repr_html_(self) -> str:
        """The scores with intervals and floors."""
        records = [record for record in self.scores if record["subset"] == "all"]
        titles = metric_titles(records)
        rows = [
            [f"{record['model']}, {record['split']}", f"{record['n']:,}", *(_shown(record, name) for name in titles)]
            for record in records
        ]
        header = ["", "n", *(title for title, _ in titles.values())]
        note = "; ".join(dict.fromkeys(record["signature"] for record in records))
        return html_table(f"{self.language}: {self.folder}", header, rows, note)

    def score(self, model: str, split: str, subset: str = "all") -> ScoreRecord | None:
        """The score record of one model, split and subset; None if it was not measured."""
        wanted = (model, split, subset)
        return next((s for s in self.scores if (s["model"], s["split"], s["subset"]) == wanted), None)

    def finding(self, model: str, split: str) -> Finding:
        """The findings about one model and split; empty if there was no analysis."""
        return next((f for f in self.findings if (f["model"], f["split"]) == (model, split)), Finding())


def evaluate_run(
    *,
    base: str,
    data_dir: Path | str | None,
    language: str,
    out: Path | str,
    adapter: Path | str | None = None,
    **options: Any,
) -> Path:
    """Answer and score the test splits of one language with a base and an adapter; see `evaluate_runs`.

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
    splits: Sequence[str] | None = None,
    batch_size: int = 16,
    max_new_tokens: Mapping[str, int] | None = None,
    device: str | None = None,
    progress: bool = True,
    check_references: bool = True,
) -> bool:
    """Answer and score the test splits of several languages with several systems; each system is loaded once.

    Under `accelerate launch` every process calls this, and the first one scores.

    Args:
        systems: the result of `line_up`.
        runs: the run folder of each language.
        data_dir: dataset folder; None takes the dataset from the Hub.
        splits: test splits; by default those that the dataset has.
        max_new_tokens: maximum answer length by source; `predictions.MAX_NEW_TOKENS` for other sources.
        check_references: refuse references in another language, before anything is asked.

    Returns:
        Whether this process is the one that scored.

    Raises:
        MellaError: for an unknown language or split, an empty split, or references in another language or without
            a word.
        MissingExtraError: if the language's tokenizer or the dictionaries of names are not installed.
    """
    tests = _load_tests(list(runs), splits, data_dir)
    _check_tests(tests, check_references)
    state = process_state(device)
    for out in runs.values() if state.is_main_process else ():
        (out / SCORES_FILE).unlink(missing_ok=True)  # scores.json means that all answers are final; they may change now
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
                out=predictions_path(runs[language], system.name, split),
                identity=identity,
                seen_entities=facts.entities if facts and system.saw(language) else None,
                batch_size=batch_size,
                max_new_tokens=(max_new_tokens or {}).get(source),
                progress=progress,
            )
        del answerer  # frees its memory before the next one is loaded
    for language, out in runs.items() if state.is_main_process else ():
        theirs = [split for code, split in tests if code == language]
        for split in theirs:
            write_thumbnails(tests[language, split], out / "thumbnails")
        write_scores(systems, language, out, data_dir, {split: training[language, split] for split in theirs})
    state.wait_for_everyone()
    return state.is_main_process


def _load_tests(
    languages: Sequence[str], splits: Sequence[str] | None, data_dir: Path | str | None
) -> dict[tuple[str, str], "Dataset"]:
    """Load the test splits by language and name. Raises MellaError for an unknown or empty split."""
    unknown = [split for split in splits or () if split not in TEST_SPLITS]
    if unknown:
        raise MellaError(f"Unknown test split {unknown[0]!r}; choose among {', '.join(TEST_SPLITS)}.")
    for language in languages:
        get_language(language)
    wanted = {language: splits or _test_splits(language, data_dir) for language in languages}
    tests = {(code, split): load_split(code, data_dir, split) for code, names in wanted.items() for split in names}
    empty = [key for key, rows in tests.items() if not len(rows)]
    if empty:
        raise MellaError(f"The split {empty[0][1]!r} of {empty[0][0]!r} is empty; build it, or evaluate another split.")
    return tests


def _check_tests(tests: Mapping[tuple[str, str], "Dataset"], check_references: bool) -> None:
    """Raise MellaError for what cannot be scored, before hours of answers are spent on it."""
    for (code, split), rows in tests.items():
        check_before_asking(f"{code}/{split}", code, rows["text"], rows["keywords"], check_references)


def _test_splits(language: str, data_dir: Path | str | None) -> list[str]:
    """The test splits that a dataset has of a language. Raises MellaError where it has none."""
    from datasets import load_dataset_builder

    builder: Any = load_dataset_builder("mella", language, data_dir=str(data_dir) if data_dir else None)
    there = builder.split_names
    found = [split for split in TEST_SPLITS if split in there]
    if not found:
        raise MellaError(
            f"The dataset has no test split of {language!r}: expected {' or '.join(TEST_SPLITS)}, "
            f"found {', '.join(there) or 'none'}. Build it with a test size of 1 or more."
        )
    return found


def write_thumbnails(rows: "Dataset", folder: Path) -> None:
    """Write a small JPEG of each image, named by its id; existing files are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, image_id in enumerate(progress_bar(rows["id"], desc="thumbnails", unit="image", delay=2)):
        target = folder / f"{image_id}.jpg"
        if target.exists():
            continue
        write_atomic(target, small_jpeg(rows[i]["image"], THUMBNAIL_SIDE))


def load_run(folder: Path | str) -> Run:
    """Read a run folder. Raises MellaError if it is not a finished run."""
    folder = Path(folder)
    path = folder / SCORES_FILE
    if not path.is_file():
        raise MellaError(
            f"{str(folder)!r} holds no finished evaluation: {SCORES_FILE} is missing. "
            f"Run `mella evaluate --out {folder}` with your base and adapter first; it resumes."
        )
    try:
        record = json.loads(path.read_text("utf-8"))
        measured = dict.fromkeys((score["model"], score["split"]) for score in record["scores"])
        run = Run(folder=folder, predictions={}, **record)
    except (ValueError, TypeError, KeyError) as error:  # no JSON, or not with these keys
        what = f"the key {error} is missing" if isinstance(error, KeyError) else error
        raise MellaError(
            f"{path} is not what this version's `mella evaluate` writes ({what}); give the folder of a run, or "
            f"remove the file and run `mella evaluate --out {folder}` again, which keeps the answers."
        ) from error
    predictions = {
        (model, split): read_predictions(predictions_path(folder, model, split)) for model, split in measured
    }
    return replace(run, predictions=predictions)


@no_endless_wait()
def load_split(language: str, data_dir: Path | str | None, split: str, **options: Any) -> "Dataset":
    """Load a split of a language, from a folder or from the Hub."""
    from datasets import load_dataset

    return load_dataset("mella", language, data_dir=str(data_dir) if data_dir else None, split=split, **options)


def _training_facts(language: str, data_dir: Path | str | None, source: str) -> TrainingFacts | None:
    """The names in a source's training split; None if there is no such split."""
    try:
        rows = load_split(language, data_dir, source, columns=["entity", "keywords"])
    except MellaError:  # a dataset with test splits only: what was seen in training is unknown
        return None
    return TrainingFacts.of(rows["entity"], rows["keywords"], language)


def score_line(language: str, record: ScoreRecord) -> str:
    """One model on one split for a terminal: the scores with their 95% intervals."""
    scores = [
        f"{m} {record[m]:.1f} [{record[f'{m}_low']:.1f}, {record[f'{m}_high']:.1f}]"
        for m in metric_titles([record])
        if record[m] is not None
    ]
    return f"{language:4}{record['model']:8}{record['split']:10} n={record['n']}  " + "  ".join(scores)


def _shown(record: ScoreRecord, name: str) -> str:
    """A score with its interval and its floor."""
    if record.get(name) is None:
        return "–"
    floor = record.get(f"{name}_floor")
    shown = f"{record[name]:.1f} [{record[f'{name}_low']:.1f}, {record[f'{name}_high']:.1f}]"
    return shown if floor is None else f"{shown}, floor {floor:.1f}"
