"""What the page of a run and the comparison page share: their facts, and how these are shown.

Facts are flat records that go into the JSON beside the page. The page shows only what is in them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mella_hf.evaluation.questions.conclusions import (
    GAINS,
    MADE_UP,
    gain_outcome,
    made_up_conclusions,
    made_up_outcome,
    rare_conclusions,
    transfer_conclusions,
)
from mella_hf.evaluation.reports.differences import differences
from mella_hf.evaluation.reports.gallery import Counted, cards, laid_out
from mella_hf.evaluation.reports.heat import heat_maps, transfer_maps
from mella_hf.evaluation.reports.judgements import judgement_facts, judgement_view
from mella_hf.evaluation.reports.questions import made_up_names, rare_names
from mella_hf.evaluation.reports.records import ComparisonFacts, MadeUpRecord, ReportFacts, SharedFacts, ShownCard
from mella_hf.evaluation.reports.systems import MeasuredSystem
from mella_hf.evaluation.titles import FAILURES, GROUPS, HEADLINE, SPLIT_TITLES, metric_titles
from mella_hf.html.charts import frequency_plots, plane
from mella_hf.html.page import MINIATURE_PARAMETERS
from mella_hf.html.tables import Cell
from mella_hf.languages import get_language

EXAMPLES = 4  # answers with made-up names shown per system


def shared_facts(systems: Sequence[MeasuredSystem], languages: Sequence[str], counted: Counted) -> SharedFacts:
    """Differences to the base, made-up names, rare names, groups and answers, as flat records."""
    return {
        "differences": differences(systems, languages, counted),
        "made_up_names": made_up_names(systems, languages),
        "rare_names": rare_names(systems, languages),
        "groups": [
            {"system": system.name, "language": language, **{k: v for k, v in group.items() if k != "model"}}
            for language in languages
            for system in systems
            if language in system.runs
            for group in system.runs[language][0].groups
            if group["model"] == system.runs[language][1]
        ],
        "judgements": judgement_facts(systems, counted),
        "answers": cards(systems, languages, counted),
    }


def shared_view(
    systems: Sequence[MeasuredSystem], facts: ReportFacts | ComparisonFacts, languages: Sequence[str]
) -> dict[str, Any]:
    """What the shared templates of both pages show."""
    gallery = [laid_out(card, systems) for card in facts["answers"]]
    rows = {
        "made_up": _made_up(facts["made_up_names"]),
        "made_up_examples": _examples(gallery, systems),
        "rare": _rare(facts["rare_names"]),
        "failures": _failures(systems, languages),
        "differences": [
            d | {"outcome": GAINS[way], "way": way} for d in facts["differences"] for way in [gain_outcome(d)]
        ],
        "judgements": judgement_view(facts["judgements"]),
        "gallery": gallery,
        "rest": None,
    }
    sentences = {
        "transfers": transfer_conclusions(facts["differences"], facts["made_up_names"]),
        "made_up_conclusions": made_up_conclusions(facts["made_up_names"]),
        "rare_conclusions": rare_conclusions(facts["rare_names"]),
    }
    drawings = {
        "heat": heat_maps(_columns(facts["groups"], systems, languages)),
        "transfer_maps": transfer_maps(facts["differences"]),
        "plane": plane(plane_points(systems, languages)),
        "frequency": frequency_plots(facts["rare_names"]),
    }
    titles = {
        "metrics": metric_titles(),
        "measured": metric_titles(facts["scores"]),
        "split_titles": SPLIT_TITLES,
        "group_titles": GROUPS,
        "failure_titles": FAILURES,
        "headline": HEADLINE,
    }
    about = {
        "systems": systems,
        "by_name": {system.name: system for system in systems},
        "languages": [get_language(code) for code in languages],
        "one": len(languages) == 1,
        "without": without_keywords(systems, languages),
        "miniature": all((s.model["parameters"] or MINIATURE_PARAMETERS) < MINIATURE_PARAMETERS for s in systems),
    }
    return {**about, **titles, **rows, **sentences, **drawings}


def without_keywords(systems: Sequence[MeasuredSystem], languages: Sequence[str]) -> dict[str, list[str]]:
    """Names of the languages in which no sample of a split has keywords, by split; METEOR leads there."""
    return {
        split: [
            get_language(code).name
            for code in languages
            if any(system.score(code, split) and system.metric(code, split) != main for system in systems)
        ]
        for split, main in HEADLINE.items()
    }


def plane_points(systems: Sequence[MeasuredSystem], languages: Sequence[str]) -> list[dict[str, Any]]:
    """The main metrics on know and ling, for each system and language that has both splits."""
    points = []
    for number, system in enumerate(systems, 1):
        for code in languages:
            metrics = {split: system.metric(code, split) for split in HEADLINE}
            cells = [Cell.of(system.score(code, split), metric) for split, metric in metrics.items()]
            if any(cell.value is None for cell in cells):
                continue
            x, y = ((cell.value, cell.low, cell.high) for cell in cells)
            label = str(number) if len(languages) == 1 else code if len(systems) <= 2 else f"{code} {number}"
            points.append({"kind": system.kind, "language": code, "label": label, "x": x, "y": y})
    return points


def _made_up(records: Sequence[MadeUpRecord]) -> list[dict[str, Any]]:
    """The records with their outcome against the base: in words, and whether it is a loss."""
    by_place = {(r["system"], r["language"], r["split"]): r for r in records}
    found = []
    for record in records:
        base = by_place.get((record["against"] or "", record["language"], record["split"]))
        way = made_up_outcome(record, base) if base else None
        found.append({**record, "outcome": MADE_UP[way] if way else "", "loses": way == "more"})
    return found


def _examples(gallery: Sequence[ShownCard], systems: Sequence[MeasuredSystem]) -> list[dict[str, Any]]:
    """Example answers with unsupported names, each with other names; for each adapter, or for the base without one."""
    found = []
    for place, system in enumerate(systems):
        if system.is_base and len(systems) > 1:
            continue
        shown: dict[str, dict[str, Any]] = {}
        for card in (card for card in gallery if str(place) in card["filters"]["made-up"].split()):
            answer = next(answer for answer in card["answers"] if answer["system"] is system)
            shown.setdefault(answer["unsupported"][0], {"card": card, **answer})
        found += list(shown.values())[:EXAMPLES]
    return found


def _rare(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per language, split and system, with its accuracies by bin."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in records:
        place = {key: record[key] for key in ("system", "language", "split")}
        row = rows.setdefault(tuple(place.values()), {**place, "bins": []})  # type: ignore[arg-type]
        row["bins"].append(record)
    return list(rows.values())


def _failures(systems: Sequence[MeasuredSystem], languages: Sequence[str]) -> list[dict[str, Any]]:
    """The score record of each system, language and split, and the wrong languages of its answers."""
    rows = []
    for code in languages:
        for system in (system for system in systems if code in system.runs):
            run, key = system.runs[code]
            for split in HEADLINE:
                score = system.score(code, split)
                if score:
                    others = run.finding(key, split).get("wrong_languages", {})
                    instead = ", ".join(f"{other} {n}" for other, n in others.items())
                    rows.append({**score, "system": system.name, "language": code, "instead": instead})
    return rows


def _columns(
    groups: Iterable[Mapping[str, Any]], systems: Sequence[MeasuredSystem], languages: Sequence[str]
) -> list[dict[str, Any]]:
    """The groups with their heat map column: the system, or each adapter's language if there are several languages."""
    adapters = [system.name for system in systems if not system.is_base]
    several = len(languages) > 1
    shown = adapters if several and adapters else [system.name for system in systems]

    def column(group: Mapping[str, Any]) -> str:
        if not several:
            return str(group["system"])
        return str(group["language"]) if len(shown) == 1 else f"{group['language']}, {group['system']}"

    metrics = {
        (system.name, code, split): system.metric(code, split)
        for system in systems
        for code in system.runs
        for split in HEADLINE
    }
    return [
        {
            **group,
            "column": column(group),
            "metric": metrics[group["system"], group["language"], group["split"]],
        }
        for group in groups
        if group["system"] in shown
    ]
