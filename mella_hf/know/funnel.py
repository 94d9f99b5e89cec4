"""The reports and folders of a collection's stages enter; how many of what went where, and why, leaves.

Counts come from the stages themselves; languages from the rows they kept and the rejects they wrote.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mella_hf.dataset.build import BuildReport
from mella_hf.know.records import rows_of
from mella_hf.stage import StageReport

SHOWN = ("overridden", "flagged")  # what was taken although a site reserves it, and what may be somebody's
UNKNOWN = ""  # the language of what declares none, or one that was not asked for


@dataclass
class Step:
    """One narrowing of the funnel.

    Attributes:
        name, unit: of the step, and of what it counts.
        kept: how many stay.
        dropped: reason -> how many go, most first.
        languages: code -> "kept" and "dropped_<reason>"; empty where the step knows no languages.
        notes: other counts, such as "overridden_opt_out"; those that SHOWN begins are for people.
    """

    name: str
    unit: str
    kept: int
    dropped: dict[str, int]
    languages: dict[str, Counter[str]] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def entered(self) -> int:
        """How many came."""
        return self.kept + sum(self.dropped.values())

    def to_json(self) -> dict[str, Any]:
        """The step for programs."""
        return {**vars(self), "entered": self.entered}


def funnel_steps(stages: Mapping[str, StageReport], build: BuildReport | None) -> list[Step]:
    """The steps of a collection, in order."""
    steps = []
    if "page_bodies" in stages:
        steps.append(_step("Pages fetched", "URLs", stages["page_bodies"].counts))
    counts = stages["pages"].counts
    of_pages = {k: n for k, n in counts.items() if k.startswith(("dropped_page_", "dropped_warc_"))}
    of_images = {k: n for k, n in counts.items() if k.startswith("dropped_") and k not in of_pages}
    steps.append(_step("Pages read", "pages", {**of_pages, "kept": counts["pages"]}))
    steps.append(_step("Images with alt-text", "images", {**of_images, "kept": counts["kept"]}))
    steps.append(_step("Alt-texts chosen", "alt-texts", stages["alt_texts"].counts, alt_text_languages(stages)))
    if "fetched" in stages:
        step = _step("Images fetched", "URLs", stages["fetched"].counts, fetched_languages(stages))
        steps.append(step)
        steps.append(_step("Images checked", "pairs", stages["samples"].counts, reject_languages(stages["samples"])))
    if build is not None:
        steps.append(_dataset_step(build))
    return steps


def _step(name: str, unit: str, counts: Mapping[str, int], languages: dict[str, Counter[str]] | None = None) -> Step:
    prefix = "dropped_"
    lost = {k.removeprefix(prefix): n for k, n in counts.items() if k.startswith(prefix) and n}
    notes = {k: n for k, n in counts.items() if n and k != "kept" and not k.startswith(prefix)}
    ordered = dict(sorted(lost.items(), key=lambda pair: (-pair[1], pair[0])))
    return Step(name, unit, counts.get("kept", 0), ordered, languages or {}, notes)


def _dataset_step(build: BuildReport) -> Step:
    by_language = {code: Counter(sources.get("know", {})) for code, sources in build.funnel.items()}
    total: Counter[str] = sum(by_language.values(), Counter())
    return _step("In the dataset", "pairs", total, by_language)


def alt_text_languages(stages: Mapping[str, StageReport]) -> dict[str, Counter[str]]:
    """Kept and dropped alt-texts by language; a drop counts for the language that its page declares."""
    return reject_languages(stages["alt_texts"])


def reject_languages(report: StageReport) -> dict[str, Counter[str]]:
    """Kept rows by their column "language", and dropped ones by their rejects' key of that name."""
    counts: dict[str, Counter[str]] = {}
    for path in rows_of(report.outputs):
        for pair in pc.value_counts(ds.dataset(path).to_table(columns=["language"])["language"]).to_pylist():
            counts.setdefault(pair["values"], Counter())["kept"] += pair["counts"]
    for reject in read_rejects(report):
        counts.setdefault(reject.get("language") or UNKNOWN, Counter())[f"dropped_{reject['reason']}"] += 1
    return counts


def fetched_languages(stages: Mapping[str, StageReport]) -> dict[str, Counter[str]]:
    """Image URLs by the language of the alt-texts that name them; one that two languages name counts for both."""
    wanted, found = (rows_of(stages[name].outputs) for name in ("alt_texts", "fetched"))
    if not wanted or not found:
        return {}
    texts = ds.dataset([str(p) for p in wanted]).to_table(columns=["image_url", "language"])
    results = ds.dataset([str(p) for p in found]).to_table(columns=["url", "reason"])
    pairs = texts.group_by(["image_url", "language"]).aggregate([])
    joined = pairs.join(results, "image_url", "url", join_type="inner")
    counts: dict[str, Counter[str]] = {}
    for row in joined.group_by(["language", "reason"]).aggregate([([], "count_all")]).to_pylist():
        key = "kept" if row["reason"] is None else f"dropped_{row['reason']}"
        counts.setdefault(row["language"], Counter())[key] += row["count_all"]
    return counts


def read_rejects(report: StageReport) -> Iterator[dict[str, Any]]:
    """The rejects of a stage's finished shards."""
    for folder in report.outputs:
        with open(folder.parent / "rejects" / f"{folder.name}.jsonl", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def top_sites(alt_texts: Sequence[Path], count: int = 20) -> list[tuple[str, int, dict[str, int]]]:
    """(site, alt-texts, by language) of the sites with the most kept alt-texts."""
    if not alt_texts:
        return []
    table = ds.dataset([str(p) for p in alt_texts]).to_table(columns=["site", "language"])
    grouped: pa.Table = table.group_by(["site", "language"]).aggregate([([], "count_all")])
    sites: dict[str, dict[str, int]] = {}
    for row in grouped.to_pylist():
        sites.setdefault(row["site"], {})[row["language"]] = row["count_all"]
    ranked = sorted(((site, sum(by.values()), by) for site, by in sites.items()), key=lambda s: (-s[1], s[0]))
    return ranked[:count]


def funnel_lines(steps: Sequence[Step]) -> list[str]:
    """The funnel for a terminal, a line a step."""
    lines = []
    for step in steps:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in step.dropped.items())
        line = f"{step.name}: {step.kept:,} of {step.entered:,} {step.unit}"
        lines.append(f"{line}; left out: {reasons}" if reasons else line)
        lines += [f"  {note}: {n:,}" for note, n in step.notes.items() if note.startswith(SHOWN)]
    return lines
