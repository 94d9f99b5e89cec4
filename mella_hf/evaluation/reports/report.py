"""Write the report of a run: one self-contained HTML page, and its numbers in other formats.

report.html          the page: it holds its styles, script and thumbnails, and makes no outside request
report.json          its numbers and texts, for programs; report.schema.json describes it
report.md, .tex      its scores and its findings on the open questions, as tables
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from mella_hf.evaluation.benchmarks.cost import benchmark_costs
from mella_hf.evaluation.questions.conclusions import gain_outcome
from mella_hf.evaluation.records import ScoreRecord
from mella_hf.evaluation.reports.differences import on_one_axis, other_differences
from mella_hf.evaluation.reports.gallery import count_run
from mella_hf.evaluation.reports.records import ReportFacts
from mella_hf.evaluation.reports.score_tables import question_tables, signatures
from mella_hf.evaluation.reports.sections import shared_facts, shared_view
from mella_hf.evaluation.reports.systems import run_systems
from mella_hf.evaluation.reports.volume import TEMPLATES, share_out
from mella_hf.evaluation.run import Run, load_run
from mella_hf.evaluation.titles import SPLIT_TITLES, SUBSETS, headline, metric_titles
from mella_hf.files import write_atomic
from mella_hf.funnel import Counts
from mella_hf.html.charts import loss_curve, on_axis, scale_end, watched_curves
from mella_hf.html.page import environment, with_contents
from mella_hf.html.tables import Cell, Table
from mella_hf.languages import Language, get_language
from mella_hf.languages.standing import standing
from mella_hf.metrics.installed import all_scores


class Mark(TypedDict):
    """A score with its interval and floor, and `at`: their positions in percent of the axis, by the same names."""

    value: float | None
    low: float | None
    high: float | None
    floor: float | None
    at: dict[str, float | None]


@dataclass(frozen=True)
class ScoreRow:
    """One metric on one subset for base and adapter."""

    title: str
    note: str
    headline: bool
    base: Mark
    adapter: Mark | None
    verdict: str


def write_report(run: Run | Path | str, out: Path | str | None = None) -> Path:
    """Write report.html and, beside it, report.json with its schema, report.md and report.tex.

    Args:
        run: a `Run`, or its folder.
        out: the page to write; `report.html` in the run's folder by default.

    Returns:
        The path of the page.

    Raises:
        MellaError: if the folder holds no finished evaluation.
        MissingExtraError: if the language's tokenizer is not installed.
    """
    run = run if isinstance(run, Run) else load_run(run)
    out = Path(out) if out is not None else run.folder / "report.html"
    facts = report_json(run)
    view = report_view(run, facts)
    tables = [score_table(run), *question_tables(facts, signatures(run.scores))]
    write_page(out, "report", view, facts, tables)
    return out


def write_page(
    out: Path, kind: str, view: Mapping[str, Any], facts: Mapping[str, Any], tables: Sequence[Table]
) -> None:
    """Write a page from its template, and beside it its facts, their schema and its tables."""
    schema = out.with_suffix(".schema.json")
    write_atomic(schema, json.dumps(facts_schema(kind), ensure_ascii=False, indent=1) + "\n")
    facts = {"$schema": schema.name, **facts}
    write_atomic(out.with_suffix(".json"), json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    write_atomic(out.with_suffix(".md"), "\n".join(table.markdown() for table in tables))
    write_atomic(out.with_suffix(".tex"), "\n".join(table.latex() for table in tables))
    shown = {**view, **share_out(view["gallery"], view["one"], out)}
    write_atomic(out, with_contents(environment(TEMPLATES).get_template(f"{kind}.html.j2").render(shown)))


def facts_schema(kind: str) -> dict[str, Any]:
    """The JSON schema of a page's facts: its own, what both pages share, and the ranges of the scores."""
    own, shared = (json.loads((TEMPLATES / f"{name}.schema.json").read_text("utf-8")) for name in (kind, "shared"))
    ranges = {
        f"^{score.name}(_low|_high|_floor)?$": {"type": ["number", "null"], "minimum": 0, "maximum": score.most}
        for score in all_scores().values()
    }
    shared["$defs"]["scores"] = {"patternProperties": ranges}
    return {
        **own,
        "required": own["required"] + shared["required"],
        "properties": own["properties"] | shared["properties"],
        "$defs": own.get("$defs", {}) | shared["$defs"],
    }


def report_json(run: Run) -> ReportFacts:
    """The page's numbers and texts for programs: scores and findings as flat records, answers joined by image."""
    counted = count_run(run)
    return {
        "language": run.language,
        "models": run.models,
        "data": run.data,
        "scores": run.scores,
        "other_differences": other_differences(run, counted),
        **shared_facts(run_systems(run), [run.language], {run.folder: counted}),
        "training": run.training,
        "versions": run.versions,
    }


def report_view(run: Run, facts: ReportFacts) -> dict[str, Any]:
    """Everything that the template shows; the template computes nothing."""
    language = get_language(run.language)
    splits = [split for split in SPLIT_TITLES if run.score("base", split)]
    outcomes = _outcomes(facts)
    log_history = (run.training or {}).get("log_history", [])
    return {
        **shared_view(run_systems(run), facts, [run.language]),
        "language": language,
        "direction": "rtl" if language.rtl else "ltr",
        "standing": standing(language).sentence,
        "without_keywords": without_keywords(run, language),
        "models": run.models,
        "costs": benchmark_costs(run.folder),
        "findings": list(filter(None, (_finding(run, split, facts["differences"]) for split in splits))),
        "panels": [_panel(run, split, outcomes) for split in splits],
        "curve": loss_curve(log_history),
        "watched": watched_curves(log_history),
        "training": run.training,
        "funnel": [_funnel_step(source, counts) for source, counts in run.data["funnel"].items()],
        "data": run.data,
        "versions": run.versions,
        "signatures": signatures(run.scores),
        "notes": [run.note] if run.note else [],
        "all_scores": run.scores,
        "subsets": SUBSETS,
    }


def score_table(run: Run) -> Table:
    """The scores over all images as a table."""
    records = [score for score in run.scores if score["subset"] == "all" and score["split"] in SPLIT_TITLES]
    name, titles = get_language(run.language).name, metric_titles(records)
    return Table(
        caption=f"{name}, {run.data['name']}: scores from 0 to 100{_beyond(titles)} with 95% intervals",
        header=["Model", "Split", "n", *(title for title, _ in titles.values())],
        rows=[
            [score["model"], score["split"].removesuffix("_test"), str(score["n"])]
            + [Cell.of(score, metric) for metric in titles]
            for score in records
        ],
        signatures=signatures(records),
    )


def _beyond(titles: Mapping[str, tuple[str, str]]) -> str:
    """The scores whose largest value is another than 100, for a caption."""
    others = [score for name, score in all_scores().items() if name in titles and score.most != 100]
    return f" ({', '.join(f'{score.title} to {score.most:g}' for score in others)})" if others else ""


def without_keywords(run: Run, language: Language) -> str:
    """Why `know` leads with METEOR; "" where it does not."""
    score = run.score("base", "know_test")
    if score is None or score["keyword_micro"] is not None:
        return ""
    if language.names == "none":
        return f"No way is known to find the names in {language.name} texts, so that no sample has keywords."
    return "No sample of know_test has keywords; a dataset that `mella build` or `mella collect` makes has them."


def _outcomes(facts: ReportFacts) -> dict[tuple[str, str, str], str]:
    """What each paired difference of base and adapter shows, by split, subset and metric: keys of `verdicts`."""
    main = [record for record in facts["differences"] if record["system"] == "adapter"]
    records = [*main, *facts["other_differences"]]
    return {(r["split"], r.get("subset", "all"), r["metric"]): _verdict(r) for r in records}


def _verdict(difference: Mapping[str, Any]) -> str:
    outcome = gain_outcome(difference)
    return "open" if outcome == "none" else outcome


def reaches_floor(score: ScoreRecord, metric: str) -> bool:
    """Whether the score may be no higher than its floor, paired by image; then nothing shows that images were used."""
    low = score.get(f"{metric}_over_floor_low")
    return low is not None and low <= 0.0


def _finding(run: Run, split: str, paired: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The sentence at the top: the main metric of a split, base against adapter, as their paired difference says."""
    base, adapter = run.score("base", split), run.score("adapter", split)
    metric = headline(split, base)
    if not base or not adapter or base[metric] is None or adapter[metric] is None:
        return None
    difference = next(d for d in paired if (d["system"], d["split"]) == ("adapter", split))
    outcome = _verdict(difference)
    return {
        "source": SPLIT_TITLES[split][0],
        "metric": metric_titles()[metric][0],
        "base": base[metric],
        "adapter": adapter[metric],
        "verdict": outcome,
        "difference": difference,
        # Answers that fit any image equally well only reach the floor, even if they are far above the base.
        "floor": adapter[f"{metric}_floor"] if outcome != "lower" and reaches_floor(adapter, metric) else None,
    }


def _panel(run: Run, split: str, outcomes: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    """The table of one test split: every metric over all images, the main metric also over the subsets."""
    models = ("base", "adapter")
    scores = [run.score(model, split, subset) for model in models for subset in SUBSETS]
    shown = [name for name in metric_titles(filter(None, scores)) if on_one_axis(name)]
    end = scale_end(scores, shown)
    main = headline(split, run.score("base", split))
    groups = []
    for subset, title in SUBSETS.items():
        base, adapter = run.score("base", split, subset), run.score("adapter", split, subset)
        if not base:
            continue
        names = list(shown) if subset == "all" else [main]
        names.sort(key=lambda name: name != main)
        rows = [
            _row(name, base, adapter, end, headline=name == main, outcome=outcomes.get((split, subset, name), ""))
            for name in names
            if base[name] is not None
        ]
        groups.append({"title": title, "n": base["n"], "rows": rows})
    return {"split": split, "titles": SPLIT_TITLES[split], "groups": groups, "end": end}


def _row(
    metric: str, base: ScoreRecord, adapter: ScoreRecord | None, end: float, *, headline: bool, outcome: str
) -> ScoreRow:
    title, note = metric_titles()[metric]
    return ScoreRow(
        title=title,
        note=note,
        headline=headline,
        base=_mark(base, metric, end),
        adapter=_mark(adapter, metric, end) if adapter else None,
        verdict=outcome if adapter else "",
    )


def _mark(score: ScoreRecord, metric: str, end: float) -> Mark:
    """A score with its interval and floor, and their positions on an axis from 0 to `end`."""
    value, low, high, floor = (score[f"{metric}{part}"] for part in ("", "_low", "_high", "_floor"))
    at = {"value": value, "low": low, "high": high, "floor": floor}
    return {
        "value": value,
        "low": low,
        "high": high,
        "floor": floor,
        "at": {name: on_axis(number, end) for name, number in at.items()},
    }


def _funnel_step(source: str, counts: dict[str, int]) -> dict[str, Any]:
    """A source's counts from `mella_hf.dataset.card.card.write_funnel`, grouped by what they count."""
    return {"source": source, **vars(Counts.of(counts))}
