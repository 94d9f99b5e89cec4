"""Tables of the open questions in Markdown and LaTeX: differences, made-up names, rare names.

Each table carries the signature of its scores, because a score without its signature cannot be compared.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mella_hf.evaluation.reports.judgement_tables import judgement_tables
from mella_hf.evaluation.reports.records import SharedFacts
from mella_hf.evaluation.titles import SPLIT_TITLES, metric_titles
from mella_hf.html.page import number
from mella_hf.html.tables import Cell, Table
from mella_hf.languages import get_language
from mella_hf.metrics.significance import resamples_for

Records = Sequence[Mapping[str, Any]]


def signatures(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """The signatures of scores without their n; scores can be compared if these are equal."""
    return list(dict.fromkeys(re.sub(r"\|n:\d+", "", score["signature"]) for score in scores))


def question_tables(facts: SharedFacts, signatures: Sequence[str]) -> list[Table]:
    """The question tables that have rows."""
    tables = (
        difference_table(facts["differences"], signatures),
        made_up_table(facts["made_up_names"], signatures),
        rare_table(facts["rare_names"], signatures),
        *judgement_tables(facts["judgements"]),
    )
    return [table for table in tables if table.rows]


def difference_table(records: Records, signatures: Sequence[str]) -> Table:
    """Points gained over the base on the same images."""
    return Table(
        caption="Points gained over the base with 95% intervals; p of a randomisation test, corrected by Holm",
        header=["System", "Language", "Split", "Metric", "Training", "n", "Gain", "p"],
        rows=[
            [record["system"], _language(record), _source(record), metric_titles()[record["metric"]][0]]
            + ["transfer" if record["transfer"] else "–" if record["transfer"] is None else "this language"]
            + [str(record["n"]), _gain(record), number(record["p_holm"], 3)]
            for record in records
        ],
        signatures=[f"{signature}|ar:{resamples_for(len(records))}" for signature in signatures],
    )


def made_up_table(records: Records, signatures: Sequence[str]) -> Table:
    """Entity precision, and the difference to the base's."""
    return Table(
        caption="Named entities of the answers that the reference or its names support, in percent with 95% intervals",
        header=["System", "Language", "Split", "Names", "Entity precision", "Gain", "p"],
        rows=[
            [record["system"], _language(record), _source(record), str(record["entities"])]
            + [Cell.of(record, "entity_precision"), _gain(record), number(record["p_holm"], 3)]
            for record in records
        ],
        signatures=[f"{signature}|ep:micro,stem" for signature in signatures],
    )


def rare_table(records: Records, signatures: Sequence[str]) -> Table:
    """Keyword accuracy by how often training names the entity."""
    bins = list(dict.fromkeys(record["bin"] for record in records))
    rows: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for record in records:
        rows.setdefault((record["system"], _language(record), _source(record)), {})[record["bin"]] = record
    return Table(
        caption="Keyword accuracy with 95% intervals by how many training samples name the entity; number of names",
        header=["System", "Language", "Split", *(column for label in bins for column in (label, "n"))],
        rows=[
            [*place] + [entry for b in bins for entry in (_accuracy(found[b]), str(found[b]["keywords"]))]
            for place, found in rows.items()
        ],
        signatures=[f"{signature}|lt:exact" for signature in signatures],
    )


def _language(record: Mapping[str, Any]) -> str:
    return get_language(record["language"]).name


def _source(record: Mapping[str, Any]) -> str:
    return SPLIT_TITLES[record["split"]][0]


def _gain(record: Mapping[str, Any]) -> Cell:
    return Cell(record["delta"], record["delta_low"], record["delta_high"], signed=True)


def _accuracy(record: Mapping[str, Any]) -> Cell:
    return Cell(record["accuracy"], record["low"], record["high"])
