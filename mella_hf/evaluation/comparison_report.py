"""Several run folders go in; comparison.html leaves, with its numbers as JSON and its main table to paste.

Every system of every language side by side: know against ling, bars with intervals and floors, the difference to the
base with its corrected p-value, categories, signs of failure and learning curves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.evaluation.categories import CategoryScore, category_scores, heat_map
from mella_hf.evaluation.charts import loss_curve, plane, scale_end
from mella_hf.evaluation.comparison_systems import Runs, System, check_comparable, find_systems, load_runs
from mella_hf.evaluation.gallery import HEADLINE, count_run
from mella_hf.evaluation.page import MINIATURE_PARAMETERS
from mella_hf.evaluation.report import FAILURES, METRICS, SPLIT_TITLES, signatures, write_page
from mella_hf.evaluation.run import Run
from mella_hf.evaluation.tables import Cell, Table
from mella_hf.languages import get_language

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics

Counted = Mapping[Path, Mapping[tuple[str, str], "ItemStatistics"]]  # by run folder, then model and split


def write_comparison(runs: Runs, out: Path | str) -> Path:
    """Write a page about several runs and, beside it, OUT.json with its schema, OUT.md and OUT.tex.

    Args:
        runs: runs or their folders, of any languages; (name, run) gives the run's adapter another name, which runs
            of one language need whose adapters are called the same.
        out: the page to write.

    Returns:
        The path of the page.

    Raises:
        MellaError: on an unfinished or a single run, two systems of one name in a language, or runs of a language
            whose images or signatures differ.
        MissingExtraError: when a language's tokenizer is not installed.
    """
    loaded = load_runs(runs)
    systems = find_systems(loaded)
    check_comparable(systems)
    languages = list(dict.fromkeys(run.language for _, run in loaded))
    counted = {run.folder: count_run(run) for _, run in loaded}
    facts = comparison_json(systems, languages, counted)
    write_page(Path(out), "comparison", _view(systems, facts), facts, comparison_table(systems, languages))
    return Path(out)


def comparison_json(systems: Sequence[System], languages: Sequence[str], counted: Counted) -> dict[str, Any]:
    """What the page shows, as flat records: scores, differences to the base, categories, models and versions."""
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
        "differences": differences(systems, languages, counted),
        "categories": [
            {"system": system.name, "language": code} | {k: v for k, v in asdict(score).items() if k != "model"}
            for system, code, run, key in measured
            for score in _categories(run, counted)
            if score.model == key
        ],
        "versions": next(run.versions for _, _, run, _ in measured),
    }


def differences(systems: Sequence[System], languages: Sequence[str], counted: Counted) -> list[dict[str, Any]]:
    """Each adapter against the base of its own run, on the headline metric of each split, paired by image.

    Returns:
        Records of `delta` in points with `delta_low` and `delta_high` (95%, bootstrap over images) and `p_holm`:
        approximate randomisation, two-sided, corrected by Holm over all of these differences.
    """
    from mella_hf.metrics import compare
    from mella_hf.metrics.significance import holm

    found = []
    for system in (system for system in systems if not system.is_base):
        for language in (language for language in languages if language in system.runs):
            run, key = system.runs[language]
            for split, metric in HEADLINE.items():
                if not run.score("base", split) or not run.score(key, split):
                    continue
                statistics = counted[run.folder]
                result = compare(statistics["base", split], statistics[key, split])
                record = {"system": system.name, "language": language, "split": split, "metric": metric}
                ends = {end: result[f"{metric}_{end}"] for end in ("delta", "delta_low", "delta_high")}
                found.append(record | ends | {"p": result[f"{metric}_p_randomization"], "n": result["n"]})
    corrected = holm([record["p"] for record in found])
    return [record | {"p_holm": p} for record, p in zip(found, corrected, strict=True)]


def comparison_table(systems: Sequence[System], languages: Sequence[str]) -> Table:
    """The main table: a row per system and split, a column per language."""
    records = [score for s in systems for code in s.runs for split in HEADLINE if (score := s.score(code, split))]
    return Table(
        caption="Scores from 0 to 100 with 95% intervals",
        header=["System", "Split", "Metric", *(get_language(code).name for code in languages)],
        rows=[
            [system.name, SPLIT_TITLES[split][0], METRICS[metric][0]]
            + [Cell.of(system.score(code, split), metric) for code in languages]
            for split, metric in HEADLINE.items()
            for system in systems
        ],
        signatures=signatures(records),
    )


def _view(systems: Sequence[System], facts: Mapping[str, Any]) -> dict[str, Any]:
    languages = [get_language(code) for code in facts["languages"]]
    runs = [(system, code, *place) for system in systems for code, place in system.runs.items()]
    numbers = {system.name: number for number, system in enumerate(systems, 1)}
    return {
        "languages": languages,
        "systems": systems,
        "numbers": numbers,
        "miniature": all(
            (system.model["parameters"] or MINIATURE_PARAMETERS) < MINIATURE_PARAMETERS for system in systems
        ),
        "plane": plane(_points(systems, facts["languages"])),
        "panels": [panel for split in HEADLINE if (panel := _panel(systems, facts["languages"], split))["rows"]],
        "differences": facts["differences"],
        "heat": _heat(systems, facts),
        "failures": [(s, code, split, s.score(code, split)) for s, code, _, _ in runs for split in HEADLINE],
        "failure_titles": FAILURES,
        "split_titles": SPLIT_TITLES,
        "metrics": METRICS,
        "headline": HEADLINE,
        "curves": [
            (system, code, curve)
            for system, code, run, key in runs
            if key == "adapter" and (curve := loss_curve((run.training or {}).get("log_history", [])))
        ],
        "signatures": signatures(score for score in facts["scores"] if score["subset"] == "all"),
        "versions": facts["versions"],
    }


def _points(systems: Sequence[System], languages: Sequence[str]) -> list[dict[str, Any]]:
    """Keyword accuracy on know and METEOR on ling of each system in each language that has both."""
    points = []
    for number, system in enumerate(systems, 1):
        for code in languages:
            cells = [Cell.of(system.score(code, split), metric) for split, metric in HEADLINE.items()]
            if any(cell.value is None for cell in cells):
                continue
            x, y = ((cell.value, cell.low, cell.high) for cell in cells)
            label = str(number) if len(languages) == 1 else code if len(systems) <= 2 else f"{code} {number}"
            points.append({"system": system, "language": code, "label": label, "x": x, "y": y})
    return points


def _panel(systems: Sequence[System], languages: Sequence[str], split: str) -> dict[str, Any]:
    """A split's headline metric: a row per language and system, with bars on one axis."""
    metric = HEADLINE[split]
    scores = [score for system in systems for code in languages if (score := system.score(code, split))]
    end = scale_end(scores, [metric])
    rows = [
        {"language": get_language(code), "system": system, "n": score["n"]}
        | {key: score[f"{metric}{suffix}"] for key, suffix in _ENDS.items()}
        | {f"{key}_at": _at(score[f"{metric}{suffix}"], end) for key, suffix in _ENDS.items()}
        for code in languages
        for system in systems
        if (score := system.score(code, split)) and score[metric] is not None
    ]
    return {"split": split, "metric": METRICS[metric], "rows": rows, "end": end}


_ENDS = {"value": "", "low": "_low", "high": "_high", "floor": "_floor"}


def _at(value: float | None, end: float) -> float | None:
    return None if value is None else round(100 * min(value, end) / end, 2)


def _heat(systems: Sequence[System], facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By split: categories by system in one language; by language and adapter where there are several."""
    several = len(facts["languages"]) > 1 and any(not system.is_base for system in systems)
    names = [system.name for system in systems if not (several and system.is_base)]

    def column(record: Mapping[str, Any]) -> str:
        if len(facts["languages"]) == 1:
            return str(record["system"])
        return record["language"] if len(names) == 1 else f"{record['language']}, {record['system']}"

    scores = [
        CategoryScore(column(r), r["split"], r["category"], r["score"], r["images"])
        for r in facts["categories"]
        if r["system"] in names
    ]
    return {split: heat_map(scores, split) for split in HEADLINE if any(s.split == split for s in scores)}


def _categories(run: Run, counted: Counted) -> list[CategoryScore]:
    items = {key: statistics.table() for key, statistics in counted[run.folder].items()}
    return [
        replace(score, score=None if score.score is None else round(score.score, 4))
        for score in category_scores(run, items)
    ]
