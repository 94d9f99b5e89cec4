"""Heat tables: scores by category and site, and gains by language."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from mella_hf.evaluation.analysis import NONE, REST
from mella_hf.evaluation.titles import GROUPS, HEADLINE
from mella_hf.html.tables import Cell

MOST_ROWS = 20  # shown on the page; the JSON has all rows


class HeatMap(TypedDict):
    """A table of groups by column, ready to draw.

    Attributes:
        rows: names of the groups, in order.
        left_out: how many groups have no row.
        cells: (group, column) -> score.
        images: group -> how many.
        highest: the score with the darkest shade.
    """

    rows: list[str]
    left_out: int
    columns: list[str]
    cells: dict[tuple[str, str], Cell]
    images: dict[str, int]
    highest: float


class TransferMap(TypedDict):
    """Gains of adapters by language, ready to draw.

    Attributes:
        rows: adapter -> the languages that it was trained on.
        columns: languages.
        cells: (adapter, language) -> the difference from the base.
        highest: the gain with the darkest shade.
    """

    rows: dict[str, list[str] | None]
    columns: list[str]
    cells: dict[tuple[str, str], Mapping[str, Any]]
    highest: float


def heat_maps(groups: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, HeatMap]]:
    """One heat map for each kind of group ("category", "domain") and split.

    Args:
        groups: score records with `column` (the system), `metric` (the one to show), `by`, `group` and `split`.
    """
    groups = list(groups)
    found: dict[str, dict[str, HeatMap]] = {}
    for by in GROUPS:
        for split in HEADLINE:
            wanted = [group for group in groups if (group["by"], group["split"]) == (by, split)]
            if wanted:
                found.setdefault(by, {})[split] = heat_map(wanted)
    return found


def heat_map(groups: Sequence[Mapping[str, Any]]) -> HeatMap:
    """A table of groups by column, largest group first; cells are shaded from 0 to the highest score."""
    cells = {(group["group"], group["column"]): Cell.of(group, group["metric"]) for group in groups}
    images: dict[str, int] = {}
    for group in groups:
        images[group["group"]] = max(images.get(group["group"], 0), group["n"])
    rows = sorted(images, key=lambda name: (name in (REST, NONE), -images[name], name))
    return {
        "rows": rows[:MOST_ROWS],
        "left_out": max(0, len(rows) - MOST_ROWS),
        "columns": list(dict.fromkeys(column for _, column in cells)),
        "cells": cells,
        "images": images,
        "highest": max((cell.value or 0.0 for cell in cells.values()), default=0.0) or 1.0,
    }


def transfer_maps(differences: Iterable[Mapping[str, Any]]) -> dict[str, TransferMap]:
    """The gain of each adapter over the base in each language, by split, if several languages were measured."""
    found: dict[str, TransferMap] = {}
    for d in differences:
        map_ = found.setdefault(d["split"], {"rows": {}, "columns": [], "cells": {}, "highest": 1.0})
        map_["rows"][d["system"]] = d["trained_on"]
        map_["columns"] = list(dict.fromkeys([*map_["columns"], d["language"]]))
        map_["cells"][d["system"], d["language"]] = d
        map_["highest"] = max(map_["highest"], d["delta"] or 0.0)
    return {split: map_ for split, map_ in found.items() if len(map_["columns"]) > 1}
