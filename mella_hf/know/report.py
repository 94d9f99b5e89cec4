"""Write the report of a collection: report.html, a self-contained page, and report.json.

It shows the funnel with its reasons, random examples of kept and dropped rows, and the largest sites. All texts come
from the web, so all are escaped, and the page makes no outside request.
"""

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from mella_hf.files import write_atomic
from mella_hf.funnel import SEED, Step, dropped_examples
from mella_hf.html.page import environment, text_attributes
from mella_hf.images.thumbnail import thumbnail_url
from mella_hf.know.funnel import UNKNOWN, funnel_steps, top_sites
from mella_hf.know.records import read_row, rows_of, site_of
from mella_hf.languages import Language, get_language
from mella_hf.stage import DROPPED

if TYPE_CHECKING:
    from mella_hf.know.funnel import CollectReport

TEMPLATES = Path(__file__).parent / "templates"
KEPT_EXAMPLES = 8  # a language
_THUMBNAIL = 192  # px
_STEPS_WITH_LANGUAGES = ("Alt-texts chosen", "Images fetched", "Images checked", "Relevant", "In the dataset")


def write_collect_report(report: "CollectReport", languages: Sequence[str]) -> Path:
    """Write report.html and report.json into the collection's folder; returns the path of the page."""
    steps = funnel_steps(report.stages, report.build)
    view = {
        "languages": [get_language(code) for code in languages],
        "steps": steps,
        "first": next(step for step in steps if step.name == "Pages read"),
        "last": steps[-1],
        "by_language": [_language_row(code, steps) for code in languages],
        "columns": [step for step in steps if step.name in _STEPS_WITH_LANGUAGES],
        "reasons": [_reasons(step, languages) for step in steps if step.name in _STEPS_WITH_LANGUAGES and step.dropped],
        "kept": kept_examples(report, languages),
        "dropped": dropped_examples(report.stages),
        "sites": top_sites(rows_of(report.stages["alt_texts"].outputs)),
        "set_aside": report.set_aside,
        "relevance": report.relevance,
    }
    facts: dict[str, Any] = {
        "steps": [step.to_json() for step in steps],
        "sites": view["sites"],
        "set_aside": report.set_aside,
    }
    if report.relevance is not None:
        numbers = [one["numbers"].to_json() for one in report.relevance["languages"]]
        facts["relevance"] = {"model": report.relevance["model"], "languages": numbers}
    path = report.out / "report.html"
    write_atomic(path.with_suffix(".json"), json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    write_atomic(path, environment(TEMPLATES).get_template("collect.html.j2").render(view))
    return path


def _language_row(code: str, steps: Sequence[Step]) -> dict[str, Any]:
    """What is left of a language after each step that knows languages."""
    steps = [step for step in steps if step.name in _STEPS_WITH_LANGUAGES]
    return {"language": get_language(code), "kept": [step.languages.get(code, Counter())["kept"] for step in steps]}


def _reasons(step: Step, languages: Sequence[str]) -> dict[str, Any]:
    """The table of a step: one row for each reason, one column for each language and for the unknown."""
    codes = [code for code in (*languages, UNKNOWN) if step.languages.get(code)]
    rows = [
        (reason, total, [step.languages[code].get(DROPPED + reason, 0) for code in codes])
        for reason, total in step.dropped.items()
    ]
    return {"step": step, "codes": [code or "other" for code in codes], "rows": rows}


def kept_examples(report: "CollectReport", languages: Sequence[str]) -> list[dict[str, Any]]:
    """Random kept pairs of each language, with a thumbnail where images were fetched."""
    name = next(name for name in ("relevant", "samples", "alt_texts") if name in report.stages)
    paths = rows_of(report.stages[name].outputs)
    places: dict[str, list[tuple[Path, int]]] = {code: [] for code in languages}
    for path in paths:
        for row, code in enumerate(pq.read_table(path, columns=["language"])["language"].to_pylist()):
            places[code].append((path, row))
    draw = random.Random(SEED)
    examples = []
    for code, found in places.items():
        for path, row in sorted(draw.sample(found, min(KEPT_EXAMPLES, len(found)))):
            examples.append(_example(read_row(path, row), get_language(code)))
    return examples


def _example(row: dict[str, Any], language: Language) -> dict[str, Any]:
    image = row.get("image")
    return {
        "text": row["text"],
        "language": language,
        "attributes": text_attributes(row["text"], language),
        "site": site_of(row["page_url"] or row["image_url"]),
        "image_url": row["image_url"],
        "size": f"{row['width']} × {row['height']}" if image else "",
        "thumbnail": thumbnail_url(image["bytes"], _THUMBNAIL) if image else "",
    }
