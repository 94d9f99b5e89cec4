"""Build a `know` dataset, with a report, from WARC files, saved pages, a list of URLs or Common Crawl.

    OUT/{language}/know*.parquet, README.md, ...   the dataset, as `mella build` makes it
    OUT/report.html, report.json                   the funnel, examples, domains
    OUT/.collect/{stage}/                          the output and rejects of each stage; a rerun continues from them

The stages run one after the other, each shard by shard on the engine of `mella_hf.stage`.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import pyarrow.parquet as pq

from mella_hf.dataset.building.build import TEST_SIZE, build_dataset
from mella_hf.dataset.building.samples import SampleSource
from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.know.common_crawl.settings import CrawlSettings
from mella_hf.know.common_crawl.stages import fetch_pages
from mella_hf.know.filter import FilterSettings, filter_bucket
from mella_hf.know.funnel import CollectReport
from mella_hf.know.pages.sources import extract_shard, fetched_shards, warc_shards
from mella_hf.know.records import rows_of
from mella_hf.know.requests import bucket_shards, page_request_shards, write_requests
from mella_hf.languages import own_entries
from mella_hf.locks import sole_use
from mella_hf.stage import Shard, StageReport, Work, run_stage

if TYPE_CHECKING:
    from mella_hf.know.fetching.settings import FetchSettings
    from mella_hf.know.images import ImageSettings
    from mella_hf.know.relevance.stages import RelevanceSettings

COLLECT_VERSION = 6  # a change of what the first two stages do to rows; makes them run again
WORK, LOCK = ".collect", "lock.json"
_PACKAGES = {  # module -> package
    "ada_url": "ada-url", "aiohttp": "aiohttp", "cchardet": "faust-cchardet", "fastwarc": "FastWARC",
    "protego": "protego", "turbohtml": "turbohtml", "webencodings": "webencodings",
}  # fmt: skip
ORIGIN = (
    "The images and their native alt-texts come from web pages, each named in `page_url`. robots.txt was obeyed and "
    "reservations against text and data mining were honoured, unless the report beside this card counts them as "
    "overridden. `license` holds the license that a page links to, as a hint; rights stay with their owners. People "
    "may be shown who do not know of it: {faces}"
)


@dataclass(frozen=True)
class CollectSettings:
    """How to collect.

    Attributes:
        filter: which alt-texts stay.
        fetch: how to behave on the web; None fetches nothing.
        images: which images stay; None takes the defaults.
        texts_only: end with the alt-texts, as without `fetch`.
        test_size: images in each test split, at most a fifth of the rows.
        retry: ask again for what could not be fetched for a reason that may have passed.
        relevance: measure how surely texts belong to their images, and with which cutoff; None does not.
    """

    filter: FilterSettings
    fetch: "FetchSettings | None" = None
    images: "ImageSettings | None" = None
    texts_only: bool = False
    test_size: int = TEST_SIZE
    retry: bool = False
    relevance: "RelevanceSettings | None" = None


def collect(
    pages: Sequence[Shard] | Sequence[str] | CrawlSettings,
    out: Path | str,
    settings: CollectSettings,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> CollectReport:
    """Run all stages.

    Args:
        pages: shards of `mella_hf.know.pages.sources`, URLs of pages to fetch, or what to take from Common Crawl.
        workers: processes; the number of cores by default, 0 runs in this process.
        executor: where to run instead, such as a Dask cluster's; its machines see `out` under the same path.

    Raises:
        MellaError: the input or a setting is not what it should be, or another collection is at work; what is
            done stays done.
    """
    _check_extra()
    out = Path(out).resolve()
    if out.exists() and not out.is_dir():
        raise MellaError(f"{out} is a file; give a folder, or a path where one can be made.")
    run = _Run(out / WORK, CollectReport(out), workers, executor, progress)
    with sole_use(out / WORK / LOCK, out, "mella collect"):
        return _collect(pages, out, settings, run)


def _collect(
    pages: Sequence[Shard] | Sequence[str] | CrawlSettings, out: Path, settings: CollectSettings, run: "_Run"
) -> CollectReport:
    report = run.report
    if isinstance(pages, CrawlSettings):
        pages = warc_shards(fetch_pages(pages, run.work, run, retry=settings.retry))
    urls = [page for page in pages if isinstance(page, str)]
    shards = [page for page in pages if isinstance(page, Shard)]
    if urls:
        if settings.fetch is None:
            raise MellaError("Pages of a list of URLs must be fetched; give a contact for the user agent.")
        requests = run("page_requests", write_requests, page_request_shards(urls))
        from mella_hf.know.fetching.settings import PAGE_KINDS

        polite = replace(settings.fetch, kinds=PAGE_KINDS)
        shards = fetched_shards(run.fetch("page_bodies", requests, polite, settings.retry))
    candidates = run("pages", extract_shard, shards)
    languages = settings.filter.languages
    chosen = {"version": COLLECT_VERSION, **asdict(settings.filter), **own_entries(languages)}
    choose = partial(filter_bucket, settings=settings.filter)
    usual = asdict(FilterSettings(languages))
    alt_texts = run("alt_texts", choose, bucket_shards(candidates), chosen, usual)
    if settings.fetch is not None and not settings.texts_only:
        requests = run("requests", write_requests, bucket_shards(alt_texts))
        fetched = run.fetch("fetched", requests, settings.fetch, settings.retry)
        samples = run.samples(alt_texts, fetched, settings.images)
        if settings.relevance is not None:
            samples = run.relevant(samples, settings.relevance)
        if sum(pq.read_metadata(path).num_rows for path in samples):
            report.build = build_dataset(
                SampleSource(tuple(samples)),
                out,
                test_size=settings.test_size,
                origin=_origin(report.stages.get("relevant", report.stages["samples"])),
                **run.engine,
            )
    from mella_hf.know.report import write_collect_report

    report.page = write_collect_report(report, settings.filter.languages)
    return report


def _origin(samples: StageReport) -> str:
    """What the dataset's card says of where it came from."""
    if samples.counts["flagged_faces_unchecked"]:
        return ORIGIN.format(faces="nobody looked for faces.")
    seen, images = samples.counts["flagged_face_found"], samples.counts["kept"]
    return ORIGIN.format(faces=f"a detector, which misses many, saw faces in {seen:,} of {images:,} pairs.")


def _check_extra() -> None:
    """Raise MissingExtraError now, and not in every worker, when a package of the extra is not installed."""
    for module, package in _PACKAGES.items():
        if find_spec(module) is None:
            raise MissingExtraError(package, "collect", "Collecting from web pages")


class Engine(TypedDict):
    """Where stages run: see `mella_hf.stage.run_stage`."""

    workers: int | None
    executor: Executor | None
    progress: bool


@dataclass
class _Run:
    """The stages of one collection: each leaves its report, and the files that the next one reads."""

    work: Path
    report: CollectReport
    workers: int | None
    executor: Executor | None
    progress: bool

    @property
    def engine(self) -> Engine:
        """Where the stages run."""
        return {"workers": self.workers, "executor": self.executor, "progress": self.progress}

    def __call__(
        self, name: str, work: Work, shards: Sequence[Shard], settings: Any = None, defaults: Any = None
    ) -> list[Path]:
        default = {"version": COLLECT_VERSION}
        return self._took(
            name,
            run_stage(
                name, work, shards, self.work / name, settings=settings or default, defaults=defaults, **self.engine
            ),
        )

    def fetch(self, name: str, requests: Sequence[Path], settings: "FetchSettings", retry: bool) -> list[Path]:
        from mella_hf.know.fetching.fetch import fetch

        return self._took(name, fetch(requests, self.work / name, settings, retry=retry, **self.engine))

    def samples(
        self, alt_texts: Sequence[Path], fetched: Sequence[Path], settings: "ImageSettings | None"
    ) -> list[Path]:
        from mella_hf.know.images import ImageSettings, make_samples

        chosen = settings or ImageSettings()
        return self._took("samples", make_samples(alt_texts, fetched, self.work / "samples", chosen, **self.engine))

    def relevant(self, samples: Sequence[Path], settings: "RelevanceSettings") -> list[Path]:
        from mella_hf.know.relevance.collected import filter_samples
        from mella_hf.know.relevance.page import relevance_view

        found = filter_samples(samples, self.work / "relevant", settings, **self.engine)
        self.report.relevance = relevance_view(found.measured, samples, settings.cutoff)
        return self._took("relevant", found.report)

    def _took(self, name: str, report: StageReport) -> list[Path]:
        self.report.stages[name] = report
        return rows_of(report.outputs)
