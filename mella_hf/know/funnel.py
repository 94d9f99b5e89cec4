"""Compute the funnel of a collection: how many rows went where, and why.

Counts come from the reports of the stages; languages from the rows that they kept and the rejects that they wrote.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mella_hf.dataset.building.build import BuildReport
from mella_hf.funnel import HEADER, Step, funnel_table, read_rejects
from mella_hf.html.notebook import Shown, ShownTable
from mella_hf.know.fetching.download import is_retryable
from mella_hf.know.records import rows_of
from mella_hf.stage import DROPPED, StageReport

_CRAWL = {"index": "Pages in the index", "picked": "Pages picked", "records": "Records fetched"}  # Common Crawl's
UNKNOWN = ""  # the language of what declares none, or one that was not asked for


@dataclass(repr=False)
class CollectReport(Shown):
    """What a collection made.

    Attributes:
        stages: the report of each stage, by name, in order.
        build: of the dataset; None when no image was asked for, or none was kept.
        relevance: what the page shows of the texts' relevance; None when it was not asked for.
        page: the HTML report.
    """

    out: Path
    stages: dict[str, StageReport] = field(default_factory=dict)
    build: BuildReport | None = None
    relevance: dict[str, Any] | None = None
    page: Path | None = None

    def _table(self) -> ShownTable:
        rows = funnel_table(funnel_steps(self.stages, self.build))
        return ShownTable(str(self.out), HEADER, rows, [str(self.page)] if self.page else [])

    @property
    def set_aside(self) -> list[str]:
        """Shards that killed their worker twice, as "stage/shard"; their rows are in no output."""
        return [f"{name}/{shard}" for name, report in self.stages.items() for shard in report.set_aside]

    @property
    def may_work_later(self) -> int:
        """URLs that could not be fetched for a reason that may pass; `CollectSettings.retry` asks for them again."""
        fetched = [self.stages[name] for name in ("index", "records", "page_bodies", "fetched") if name in self.stages]
        return sum(n for report in fetched for reason, n in report.dropped.items() if is_retryable(reason))


def funnel_steps(stages: Mapping[str, StageReport], build: BuildReport | None) -> list[Step]:
    """The steps of a collection, in order."""
    steps = [Step.of(title, "pages", stages[name].counts) for name, title in _CRAWL.items() if name in stages]
    if "page_bodies" in stages:
        steps.append(Step.of("Pages fetched", "URLs", stages["page_bodies"].counts))
    counts = stages["pages"].counts
    of_pages = {k: n for k, n in counts.items() if k.startswith((f"{DROPPED}page_", f"{DROPPED}warc_"))}
    of_images = {k: n for k, n in counts.items() if k.startswith(DROPPED) and k not in of_pages}
    steps.append(Step.of("Pages read", "pages", {**of_pages, "kept": counts["pages"]}))
    steps.append(Step.of("Images with alt-text", "images", {**of_images, "kept": counts["kept"]}))
    steps.append(Step.of("Alt-texts chosen", "alt-texts", stages["alt_texts"].counts, alt_text_languages(stages)))
    if "fetched" in stages:
        step = Step.of("Images fetched", "URLs", stages["fetched"].counts, fetched_languages(stages))
        steps.append(step)
        steps.append(Step.of("Images checked", "pairs", stages["samples"].counts, reject_languages(stages["samples"])))
    if "relevant" in stages:
        steps.append(Step.of("Relevant", "pairs", stages["relevant"].counts, reject_languages(stages["relevant"])))
    if build is not None:
        steps.append(_dataset_step(build))
    return steps


def _dataset_step(build: BuildReport) -> Step:
    by_language = {code: Counter(sources.get("know", {})) for code, sources in build.funnel.items()}
    total: Counter[str] = sum(by_language.values(), Counter())
    return Step.of("In the dataset", "pairs", total, by_language)


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
        counts.setdefault(reject.get("language") or UNKNOWN, Counter())[f"{DROPPED}{reject['reason']}"] += 1
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
        key = "kept" if row["reason"] is None else f"{DROPPED}{row['reason']}"
        counts.setdefault(row["language"], Counter())[key] += row["count_all"]
    return counts


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
