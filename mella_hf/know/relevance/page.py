"""The relevance section of a report: both distributions, and the pairs around the cutoff."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mella_hf.files import write_atomic
from mella_hf.html.charts import ticks
from mella_hf.html.page import environment, text_attributes
from mella_hf.images.opening import Rejected
from mella_hf.images.thumbnail import thumbnail_url
from mella_hf.know.records import read_row
from mella_hf.know.relevance.stages import CALIBRATED, Measured
from mella_hf.know.relevance.summary import LanguageRelevance, summarise
from mella_hf.languages import get_language

TEMPLATES = Path(__file__).parents[1] / "templates"
SHEET = 12  # pairs on a sheet
SUGGESTED = 0.5
_BARS = 60  # of a drawn distribution, at most
_THUMBNAIL = 160  # px


@dataclass(frozen=True)
class Distributions:
    """The cosines of pairs and of re-paired images and texts, ready to draw in a box of 100 x 100, y downwards.

    Attributes:
        matched, repaired: SVG path data of the areas.
        cut: where the cutoff is, in percent from the left.
        x_ticks: (position in percent, label).
    """

    matched: str
    repaired: str
    cut: float
    x_ticks: list[tuple[float, str]]


def relevance_view(measured: Measured, files: Sequence[Path], cutoff: float | None) -> dict[str, Any]:
    """What the template `relevance_part.html.j2` shows.

    Args:
        files: those that were measured, as they were.
    """
    return {
        "model": measured.model,
        "cutoff": cutoff,
        "suggested": SUGGESTED,
        "unmeasured": measured.unmeasured,
        "languages": [_language_view(one, measured, files, cutoff) for one in summarise(measured.measures)],
    }


def write_relevance_page(path: Path, view: dict[str, Any]) -> None:
    """Write a page of its own, and its numbers as JSON beside it."""
    facts = {name: view[name] for name in ("model", "cutoff", "unmeasured")}
    facts["languages"] = [one["numbers"].to_json() for one in view["languages"]]
    write_atomic(path.with_suffix(".json"), json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    write_atomic(path, environment(TEMPLATES).get_template("relevance.html.j2").render(relevance=view))


def _language_view(
    one: LanguageRelevance, measured: Measured, files: Sequence[Path], cutoff: float | None
) -> dict[str, Any]:
    sheets: list[tuple[str, list[dict[str, Any]]]] = []
    if one.pairs:
        mine = (ds.field("language") == one.language) & (ds.field("source") == one.source)
        table = ds.dataset([str(path) for path in measured.calibrated], schema=CALIBRATED).to_table(
            filter=mine & ds.field("relevance").is_valid()
        )
        rows = table.take(pc.sort_indices(table, [("relevance", "ascending"), ("file", "ascending")]))
        below = 0 if cutoff is None else int(pc.sum(pc.less(rows["relevance"], cutoff)).as_py() or 0)
        sheets.append(("Lowest kept", list(_examples(rows.slice(below, SHEET), files, one.language))))
        if below:
            last = rows.slice(max(0, below - SHEET), min(below, SHEET))
            sheets.append(("Highest left out", list(_examples(last, files, one.language))[::-1]))
    return {
        "numbers": one,
        "language": get_language(one.language),
        "figure": distributions(one, cutoff or SUGGESTED) if one.pairs else None,
        "sheets": sheets,
    }


def _examples(rows: pa.Table, files: Sequence[Path], language: str) -> Iterator[dict[str, Any]]:
    for found in rows.to_pylist():
        row = read_row(files[found["file"]], found["row"])
        try:
            picture = thumbnail_url(row["image"]["bytes"], _THUMBNAIL)
        except Rejected:
            picture = ""
        attributes = text_attributes(row["text"], get_language(language))
        yield {"text": row["text"], "attributes": attributes, "thumbnail": picture, "relevance": found["relevance"]}


def distributions(one: LanguageRelevance, cutoff: float) -> Distributions:
    """Both distributions of a language, over the range that they fill."""
    both = np.array([one.matched, one.repaired], dtype=float)  # [2, BINS]
    filled = np.flatnonzero(both.sum(axis=0))
    first, last = int(filled[0]), int(filled[-1]) + 1
    width = max(1, -(-(last - first) // _BARS))
    last += -(last - first) % width
    padded = np.pad(both, ((0, 0), (0, width)))[:, first:last].reshape(2, -1, width).sum(axis=2)
    shares = padded / padded.sum(axis=1, keepdims=True)
    shares *= 96 / shares.max()
    size = 2 / both.shape[1]
    low, high = -1 + first * size, -1 + last * size

    def at(cosine: float) -> float:
        return round(100 * (cosine - low) / (high - low), 2)

    step = ticks(high - low, 5)[1]
    marks = [step * n for n in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]
    matched, repaired = (_area(values) for values in shares)
    return Distributions(matched, repaired, at(one.cosine_at(cutoff)), [(at(mark), f"{mark:g}") for mark in marks])


def _area(heights: np.ndarray) -> str:
    """A staircase from the left to the right of the box."""
    width = 100 / len(heights)
    steps = "".join(f"V{100 - height:.2f}H{(n + 1) * width:.2f}" for n, height in enumerate(heights))
    return f"M0 100{steps}V100Z"
