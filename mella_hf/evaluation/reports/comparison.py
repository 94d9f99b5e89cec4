"""Write comparison.html, which compares several runs, with its numbers as JSON and its tables as text.

It shows every system of every language side by side: know against ling, bars with intervals and floors, the difference
to the base with its corrected p-value, the open questions, categories, failure signs, learning curves and all answers.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mella_hf.evaluation.reports.gallery import Counted, count_run
from mella_hf.evaluation.reports.records import ComparisonFacts
from mella_hf.evaluation.reports.report import write_page
from mella_hf.evaluation.reports.score_tables import question_tables, signatures
from mella_hf.evaluation.reports.sections import shared_facts, shared_view
from mella_hf.evaluation.reports.systems import MeasuredSystem, Runs, check_comparable, find_systems, named_runs
from mella_hf.evaluation.titles import HEADLINE, SPLIT_TITLES, metric_titles
from mella_hf.html.charts import Curve, loss_curve, on_axis, scale_end
from mella_hf.html.tables import Cell, Table
from mella_hf.languages import get_language


def write_comparison(runs: Runs, out: Path | str) -> Path:
    """Write a page about several runs and, beside it, OUT.json with its schema, OUT.md and OUT.tex.

    Args:
        runs: runs or their folders, of any languages; (name, run) gives the run's adapter another name, which runs
            of one language need whose adapters are called the same.
        out: the page to write.

    Returns:
        The path of the page.

    Raises:
        MellaError: for an unfinished run, for a single run with only a base and an adapter, for two systems with the
            same name in a language, or for runs of a language with different images or signatures.
        MissingExtraError: if a language's tokenizer is not installed.
    """
    loaded = named_runs(runs)
    systems = find_systems(loaded)
    check_comparable(systems)
    languages = list(dict.fromkeys(run.language for _, run in loaded))
    counted = {run.folder: count_run(run) for _, run in loaded}
    facts = comparison_json(systems, languages, counted)
    signed = signatures(score for score in facts["scores"] if score["subset"] == "all")
    tables = [comparison_table(systems, languages), *question_tables(facts, signed)]
    write_page(Path(out), "comparison", _view(systems, facts), facts, tables)
    return Path(out)


def comparison_json(systems: Sequence[MeasuredSystem], languages: Sequence[str], counted: Counted) -> ComparisonFacts:
    """The page's content as flat records: scores and findings, answers joined by image, models and versions."""
    measured = [(system, code, *system.runs[code]) for code in languages for system in systems if code in system.runs]
    return {
        "languages": list(languages),
        "systems": [{"name": s.name, "is_base": s.is_base, "model": s.model} for s in systems],
        "scores": [
            {"system": system.name, "language": code} | {k: v for k, v in score.items() if k != "model"}
            for system, code, run, key in measured
            for score in run.scores
            if score["model"] == key
        ],
        **shared_facts(systems, languages, counted),
        "versions": next(run.versions for _, _, run, _ in measured),
    }


def comparison_table(systems: Sequence[MeasuredSystem], languages: Sequence[str]) -> Table:
    """The main table: a row per system and split, a column per language."""
    records = [system.score(code, split) for system in systems for code in system.runs for split in HEADLINE]
    return Table(
        caption="Scores from 0 to 100 with 95% intervals",
        header=["System", "Split", "Metric", *(get_language(code).name for code in languages)],
        rows=[
            [system.name, SPLIT_TITLES[split][0], metric_titles()[metric][0]]
            + [_cell(system, code, split) for code in languages]
            for split, metric in HEADLINE.items()
            for system in systems
        ],
        signatures=signatures(filter(None, records)),
    )


def _cell(system: MeasuredSystem, code: str, split: str) -> Cell:
    """The main metric of a split in a language; named where it is another than in the other languages."""
    metric = system.metric(code, split)
    cell = Cell.of(system.score(code, split), metric)
    return cell if metric == HEADLINE[split] else replace(cell, note=metric_titles()[metric][0])


def _view(systems: Sequence[MeasuredSystem], facts: ComparisonFacts) -> dict[str, Any]:
    languages = facts["languages"]
    panels = [_panel(systems, languages, split) for split in HEADLINE]
    return {
        **shared_view(systems, facts, languages),
        "numbers": {system.name: number for number, system in enumerate(systems, 1)},
        "panels": [panel for panel in panels if panel["rows"]],
        "curves": _curves(systems),
        "signatures": signatures(score for score in facts["scores"] if score["subset"] == "all"),
        "notes": _notes(systems),
        "versions": facts["versions"],
    }


def _curves(systems: Sequence[MeasuredSystem]) -> list[tuple[MeasuredSystem, str, Curve]]:
    """The learning curve of each adapter in each language that has one."""
    found = []
    for system in systems:
        for code, (run, key) in system.runs.items():
            curve = loss_curve((run.training or {}).get("log_history", [])) if key == "adapter" else None
            if curve:
                found.append((system, code, curve))
    return found


def _notes(systems: Sequence[MeasuredSystem]) -> list[str]:
    """What the scores of each run rest on, once for all runs of which the same is to be said."""
    runs = {run.folder: run for system in systems for run, _ in system.runs.values()}
    told = {run.note: [r.folder.name for r in runs.values() if r.note == run.note] for run in runs.values() if run.note}
    return [note if len(told) == 1 else f"{', '.join(names)}: {note}" for note, names in told.items()]


def _panel(systems: Sequence[MeasuredSystem], languages: Sequence[str], split: str) -> dict[str, Any]:
    """A split's headline metric: a row per language and system, with bars on one axis."""
    main = HEADLINE[split]
    measured = [
        (system, code, system.metric(code, split), system.score(code, split))
        for code in languages
        for system in systems
    ]
    end = max((scale_end([score], [metric]) for _, _, metric, score in measured if score), default=1.0)
    rows = [
        {"language": get_language(code), "system": system, "n": score["n"]}
        | {"metric": "" if metric == main else metric_titles()[metric][0]}
        | {key: score[f"{metric}{suffix}"] for key, suffix in _ENDS.items()}
        | {f"{key}_at": on_axis(score[f"{metric}{suffix}"], end) for key, suffix in _ENDS.items()}
        for system, code, metric, score in measured
        if score and score[metric] is not None
    ]
    return {"split": split, "metric": metric_titles()[main], "rows": rows, "end": end}


_ENDS = {"value": "", "low": "_low", "high": "_high", "floor": "_floor"}
