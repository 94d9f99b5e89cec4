"""Test each pair of systems of finished runs for differences, with corrected p-values.

All tests of one call are one family: the p-values are corrected for their number (Holm).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.predictions import count_answers
from mella_hf.answers.records import Prediction
from mella_hf.answers.systems import named
from mella_hf.errors import MellaError
from mella_hf.evaluation.questions.conclusions import LEVEL
from mella_hf.evaluation.run import Run, load_run
from mella_hf.evaluation.scores_file import SCORES_FILE
from mella_hf.evaluation.titles import metric_titles
from mella_hf.files import write_atomic
from mella_hf.html.page import signed
from mella_hf.metrics import significance
from mella_hf.metrics.predictions.join import with_references
from mella_hf.metrics.predictions.read import Keys, read_predictions
from mella_hf.metrics.predictions.stored_rows import StoredRows
from mella_hf.progress import progress_bar

if TYPE_CHECKING:
    from mella_hf.metrics.comparison import Comparison

COMPARISONS_FILE = "comparisons.json"
Answers = list[Prediction]


@dataclass(frozen=True)
class AnswerFile:
    """A file of answers that another program wrote, and how it was read."""

    path: Path
    rows: StoredRows
    keys: Keys


def read_answer_files(given: Sequence[str]) -> dict[str, AnswerFile]:
    """Read files of answers by name: the file's without its ending, or NAME of NAME=FILE.

    Raises:
        MellaError: if a file cannot be read, has no ids, or two have the same name.
    """
    found: dict[str, AnswerFile] = {}
    for name, place in map(named, given):
        path = Path(place)
        called = name or path.stem
        if called in found:
            raise MellaError(f"Two files have the name {called!r}: {found[called].path} and {path}. Give NAME={path}.")
        rows, keys = read_predictions(path, needs_reference=False)
        if keys.id is None:
            raise MellaError(
                f"{path} has no ids ({keys.name} writes none), so it is unknown which image an answer is about; add "
                'the key "id" to each line.'
            )
        found[called] = AnswerFile(path, rows, keys)
    return found


def compare_runs(
    runs: Mapping[str, Run],
    others: Mapping[str, Mapping[str, Run]] | None = None,
    *,
    files: Mapping[str, AnswerFile] | None = None,
    out: Path | None = None,
) -> "list[Comparison]":
    """Paired tests of the adapter (or of the base, if there is no adapter) against every other system.

    Args:
        runs: by language.
        others: other runs to compare with, by name and language; each is represented by its adapter.
        files: answers that other programs wrote, by name; each is about one test split of one of the languages.
        out: a folder to write `comparisons.json` to.

    Returns:
        One record per language, split and pair: `language`, `split`, `first`, `second`, and the result of
        `mella_hf.metrics.comparison.corrected`. Differences are second - first.

    Raises:
        MellaError: if two systems did not answer about the same images, or a file fits no split.
    """
    from mella_hf.metrics import MellaMetric
    from mella_hf.metrics.comparison import compare, corrected
    from mella_hf.metrics.installed import all_scores

    pairs = [pair for language, run in runs.items() for pair in _pairs(language, run, others or {})]
    pairs += [_file_pair(name, file, runs) for name, file in (files or {}).items()]
    resamples = significance.resamples_for(len(pairs) * len(all_scores()))
    found: dict[str, Comparison] = {}
    for language, split, first, second, answers in progress_bar(pairs, desc="paired tests", unit="pair", delay=2):
        metric = MellaMetric(language, progress=False)
        counted = [count_answers(metric, given) for given in answers]
        key = {"language": language, "split": split, "first": first, "second": second}
        found[json.dumps(key)] = compare(*counted, resamples=resamples)
    records = [{**json.loads(key), **result} for key, result in corrected(found).items()]
    if out is not None:
        write_atomic(out / COMPARISONS_FILE, json.dumps(records, ensure_ascii=False, indent=1) + "\n")
    return records


def name_runs(folders: Sequence[str], languages: Sequence[str]) -> dict[str, dict[str, Run]]:
    """Load finished runs by name (the folder's, or NAME of NAME=FOLDER) and language.

    Raises:
        MellaError: if a folder has none of the languages, or two runs have the same name.
    """
    found: dict[str, dict[str, Run]] = {}
    places: dict[str, str] = {}
    for given, folder in map(named, folders):
        name = given or Path(folder).resolve().name
        if name in found:
            raise MellaError(
                f"Two runs have the name {name!r}: {places[name]} and {folder}. "
                f"Give one another name, as in --against NAME={folder}."
            )
        found[name], places[name] = load_runs(folder, languages), folder
    return found


def holds_runs(folder: Path | str, languages: Sequence[str]) -> bool:
    """Whether `mella evaluate` wrote this folder: one run, or one run per language."""
    folder = Path(folder)
    return any((place / SCORES_FILE).is_file() for place in (folder, *(folder / code for code in languages)))


def load_runs(folder: Path | str, languages: Sequence[str]) -> dict[str, Run]:
    """Load the finished runs in a folder that `mella evaluate` wrote, by language.

    Raises:
        MellaError: if it has none of the languages.
    """
    folder = Path(folder)
    if (folder / SCORES_FILE).is_file():
        run = load_run(folder)
        found = {run.language: run}
    else:
        found = {language: load_run(folder / language) for language in languages if (folder / language).is_dir()}
    if not set(found) & set(languages):
        raise MellaError(
            f"{str(folder)!r} holds no finished evaluation of {', '.join(languages)}; give the --out of an earlier "
            "`mella evaluate`, or the folder of an adapter."
        )
    return {language: run for language, run in found.items() if language in languages}


def _pairs(
    language: str, run: Run, others: Mapping[str, Mapping[str, Run]]
) -> list[tuple[str, str, str, str, tuple[Answers, Answers]]]:
    """All comparisons within a language: (language, split, first, second, their answers)."""
    ours = tuned(run)
    pairs = []
    for (model, split), answers in run.predictions.items():
        if model != ours:
            pairs.append((language, split, model, ours, (answers, run.predictions[ours, split])))
    for name, theirs in others.items():
        if language not in theirs:
            continue
        other = theirs[language]
        for (model, split), answers in other.predictions.items():
            if model == tuned(other) and (ours, split) in run.predictions:
                same = aligned(run.predictions[ours, split], answers, name, f"{language} {split}")
                pairs.append((language, split, name, ours, (same, run.predictions[ours, split])))
    return pairs


def _file_pair(
    name: str, file: AnswerFile, runs: Mapping[str, Run]
) -> tuple[str, str, str, str, tuple[Answers, Answers]]:
    """The comparison of a file's answers with a run's, on the split whose images they are about."""
    problem: MellaError | None = None
    for language, run in runs.items():
        for split in dict.fromkeys(split for model, split in run.predictions if model == tuned(run)):
            ours = run.predictions[tuned(run), split]
            try:
                theirs = with_references(file.rows, {p["id"]: {} for p in ours}, file.keys, file.path)
            except MellaError as error:
                problem = error
                continue
            return language, split, name, tuned(run), (aligned(ours, list(theirs), name, f"{language} {split}"), ours)
    raise MellaError(f"{file.path} fits no test split of {', '.join(runs)}: {problem}")


def tuned(run: Run) -> str:
    """The main system of a run: its adapter, or its base if it has no adapter."""
    return "adapter" if "adapter" in run.models else "base"


def aligned(ours: Answers, theirs: Sequence[Mapping[str, Any]], name: str, where: str) -> Answers:
    """Another run's answers in our order, with our references. Raises MellaError if the images differ."""
    by_id = {p["id"]: p for p in theirs}
    if set(by_id) != {p["id"] for p in ours}:
        shared = len(set(by_id) & {p["id"] for p in ours})
        raise MellaError(
            f"The run {name!r} has answers about {len(theirs)} images of {where}, this one about {len(ours)}, and only "
            f"{shared} are the same; evaluate both on the same dataset."
        )
    return [{**p, "prediction": by_id[p["id"]]["prediction"]} for p in ours]


def comparison_line(record: "Comparison") -> str:
    """One comparison for the screen: differences with 95% intervals; a star if Holm's p is below `LEVEL`."""
    shown = [f"{name} {cell}" for name, cell in comparison_cells(record).items()]
    where = f"{record['language']} {record['split']}"
    return f"{where:14}{record['second']} against {record['first']}:  " + "  ".join(shown)


def comparison_cells(record: "Comparison") -> dict[str, str]:
    """The differences of a comparison by metric, such as "+1.2* [+0.4, +2.0]"; not those that were not measured."""
    cells = {}
    for name in metric_titles():
        if record[f"{name}_delta"] is not None:
            star = "*" if record[f"{name}_p_randomization_holm"] < LEVEL else ""
            delta, low, high = (signed(record[f"{name}_delta{end}"]) for end in ("", "_low", "_high"))
            cells[name] = f"{delta}{star} [{low}, {high}]"
    return cells
