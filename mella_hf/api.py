"""The functions of `import mella_hf`: the life of a dataset and of an adapter, from web pages to the Hub.

Each function does what the command of the same name does, and the command calls it. Paths are texts or `Path`s;
languages are "ar", "ar,cs", ["ar", "cs"] or "all".
"""

import re
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mella_hf.errors import MellaError
from mella_hf.files import check_place
from mella_hf.languages import ENGLISH, all_codes
from mella_hf.languages.codes import read_codes
from mella_hf.places import Place, root_of

if TYPE_CHECKING:
    from mella_hf.dataset.building.build import BuildReport
    from mella_hf.dataset.building.candidate import Source
    from mella_hf.evaluation.run import Run
    from mella_hf.know.common_crawl.settings import CrawlSettings
    from mella_hf.know.funnel import CollectReport
    from mella_hf.ling.describe import DescribeReport
    from mella_hf.training.arguments.settings import Settings

Languages = str | Sequence[str]
_HUB_PAGE = re.compile(r"https?://(?:huggingface\.co|hf\.co)/datasets/([\w.-]+/[\w.-]+)(?:/(?:tree|viewer)/[^?#]*)?/?")
TEST_SIZE = 200  # images a source and language (MELLA's own test split)


def collect(
    out: str | Path,
    languages: Languages,
    *,
    warc: str | Path | Sequence[str | Path] = (),
    urls: str | Path | Sequence[str] = (),
    pages: str | Path | None = None,
    base_url: str | None = None,
    common_crawl: str | Sequence[str] = (),
    sites: str | Sequence[str] = (),
    tlds: str | Sequence[str] = (),
    pages_per_site: int = 0,
    requests_per_second: float = 20.0,
    crawl_base: str | None = None,
    contact: str | None = None,
    texts_only: bool = False,
    retry: bool = False,
    refresh: datetime | None = None,
    per_host: int = 2,
    delay: float = 0.5,
    min_side: int = 200,
    nsfw_threshold: float = 0.8,
    relevance: str | None = None,
    relevance_cutoff: float | None = None,
    test_size: int = TEST_SIZE,
    ignore_reservations: bool = False,
    ignore_opt_outs: str = "",
    allow_private: bool | Sequence[str] = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> "CollectReport":
    """Collect images and their native alt-texts from web pages: the `know` part of a dataset.

    If it is stopped, the same call continues.

    Args:
        out: where the dataset and the report go.
        languages: of the alt-texts to keep.
        warc: WARC files; or `urls`: a text file of page URLs, or the URLs; or `pages`: a folder of saved pages.
        base_url: where `pages` is on the web.
        common_crawl: instead, crawls such as "CC-MAIN-2026-43": pages that its index labels with the languages.
        sites: of these, only pages of such hosts, with all below them.
        tlds: of these, only pages of such top-level domains.
        pages_per_site: of these, the most of one host; 0 for all.
        requests_per_second: to Common Crawl's servers.
        crawl_base: where a copy of Common Crawl lies; its own address by default.
        contact: your e-mail address or URL, for site owners. Needed to fetch.
        texts_only: stop at the alt-texts; fetch no image.
        retry: ask again for what failed and may work now.
        refresh: ask again, by ETag, for what was fetched before this moment; without a time zone it is in UTC.
        per_host: requests under way to one host.
        delay: seconds between two requests to one host.
        min_side: pixels that an image's shorter side must have.
        nsfw_threshold: images that score above it go; in [0, 1].
        relevance: a dual encoder of images and texts, such as "google/siglip2-base-patch16-256", that measures how
            surely each text belongs to its image (docs/collecting.md).
        relevance_cutoff: pairs below it go, such as 0.5; None keeps all.
        test_size: images in the test split, at most a fifth of the rows.
        ignore_reservations: also take what opts out of machine learning, and count it.
        ignore_opt_outs: names of single opt-outs to count only, such as "noindex,tdm" (docs/opt_outs.md).
        allow_private: private hosts and networks to fetch from as well, such as ["files.lan", "10.1.0.0/16"].
        workers: processes; the number of cores by default, 0 runs in this process.
        executor: runs the work instead, such as a Dask cluster's.
        progress: show bars.

    Raises:
        MellaError: on input that is missing or more than one kind of it, or a setting that cannot work.
        MissingExtraError: when the extra `collect` is not installed.
    """
    if sum(map(bool, (warc, urls, pages, common_crawl))) != 1:
        raise MellaError(
            "Give one source: WARC files, --urls FILE, --pages FOLDER with --base-url, or --common-crawl CRAWL."
        )
    if contact is None and (urls or common_crawl or not texts_only):
        raise MellaError(
            "Fetching needs --contact, an e-mail address or URL at which site owners reach you. "
            "Without it, --texts-only reads WARC files or saved pages and stops before the images."
        )
    if pages is not None and base_url is None:
        raise MellaError("--pages needs --base-url: where the folder is on the web, such as https://example.org/docs/.")
    codes = read_codes(languages, every=[code for code in all_codes() if code != ENGLISH])
    from mella_hf.know.collect import CollectSettings
    from mella_hf.know.collect import collect as run
    from mella_hf.know.fetching.settings import FetchSettings
    from mella_hf.know.filter import FilterSettings
    from mella_hf.know.image_check import ImageSettings
    from mella_hf.know.optouts import named_opt_outs
    from mella_hf.know.pages import sources
    from mella_hf.know.relevance.stages import RelevanceSettings

    ignored = named_opt_outs(ignore_opt_outs)
    if relevance is None and relevance_cutoff is not None:
        raise MellaError("--relevance-cutoff needs --relevance MODEL: which encoder is to measure relevance.")
    if relevance is not None and texts_only:
        raise MellaError("--relevance compares texts with images; leave --texts-only out.")
    settings = CollectSettings(
        FilterSettings(codes, honour_opt_outs=not ignore_reservations, ignored_opt_outs=ignored),
        None if contact is None else FetchSettings(
            contact, per_host=per_host, delay=delay,
            allow_private=allow_private if isinstance(allow_private, bool) else tuple(allow_private),
            honour_reservations=not ignore_reservations, ignored_opt_outs=ignored,
            refresh_before=0.0 if refresh is None else _moment(refresh).timestamp(),
        ),
        ImageSettings(
            min_side=min_side, nsfw_threshold=nsfw_threshold,
            honour_opt_outs=not ignore_reservations, ignored_opt_outs=ignored,
        ),
        texts_only=texts_only, test_size=test_size, retry=retry,
        relevance=None if relevance is None else RelevanceSettings(relevance, relevance_cutoff),
    )  # fmt: skip
    if common_crawl:
        found: Any = crawl_settings(
            common_crawl, codes, contact or "", sites=sites, tlds=tlds, pages_per_site=pages_per_site,
            requests_per_second=requests_per_second, crawl_base=crawl_base,
        )  # fmt: skip
    elif urls:
        found = sources.read_url_list(urls) if isinstance(urls, str | Path) else list(urls)
    elif pages is not None and base_url is not None:
        found = sources.folder_shards(Path(pages), base_url)
    else:
        found = sources.warc_shards([Path(path) for path in _listed(warc)])
    return run(found, out, settings, workers=workers, executor=executor, progress=progress)


def crawl_settings(
    common_crawl: str | Sequence[str],
    languages: Sequence[str],
    contact: str,
    *,
    sites: str | Sequence[str] = (),
    tlds: str | Sequence[str] = (),
    pages_per_site: int = 0,
    requests_per_second: float = 20.0,
    crawl_base: str | None = None,
) -> "CrawlSettings":
    """What to take from Common Crawl, from the words of a command; arguments as of `collect`.

    Raises:
        MellaError: for what is not a crawl, a site or a top-level domain.
    """
    from mella_hf.know.common_crawl.settings import BASE, CrawlSettings
    from mella_hf.know.fetching.settings import FetchSettings

    return CrawlSettings(
        tuple(dict.fromkeys(_words(common_crawl))), tuple(languages), FetchSettings(contact).user_agent,
        sites=tuple(name.lower().removeprefix("www.") for name in _words(sites)),
        tlds=tuple(name.lower().lstrip(".") for name in _words(tlds)),
        pages_per_site=pages_per_site, rate=requests_per_second, base=crawl_base or BASE,
    )  # fmt: skip


def _words(names: str | Sequence[str]) -> list[str]:
    """The names of one text, or of several, that commas or spaces part."""
    return " ".join([names] if isinstance(names, str) else names).replace(",", " ").split()


def describe(
    images: str | Path,
    out: str | Path,
    languages: Languages,
    *,
    captioner: str,
    endpoint: str | Sequence[str] = (),
    progress: bool = True,
    **settings: Any,
) -> "DescribeReport":
    """Describe images in English, translate the descriptions, keep the good ones, and build a dataset of them.

    If it is stopped, or a quota ends, the same call continues, and sends no request twice.

    Args:
        images: folder of images; metadata.jsonl in it may give page_url, license and so on.
        out: where the dataset goes.
        languages: to translate into.
        captioner: Hub id or folder of a vision-language model; with `endpoint`, its name there.
        endpoint: OpenAI-compatible servers; without one the captioner runs here.
        progress: show bars.
        settings: of `mella_hf.ling.describe_settings.DescribeSettings`: translator, threshold, license and so on.

    Raises:
        MellaError: on bad settings, no images, or a captioner, service or model that does not work.
    """
    codes = read_codes(languages)
    from mella_hf.ling.describe import describe_images
    from mella_hf.ling.describe_settings import DescribeSettings

    chosen = DescribeSettings(captioner=captioner, base_urls=tuple(_listed(endpoint)), **settings)
    return describe_images(images, out, codes, chosen, progress=progress)


def build_dataset(
    data: "str | Path | Source",
    out: str | Path,
    languages: Languages = "all",
    *,
    source: Literal["release", "folder", "hf"] = "folder",
    kind: Literal["know", "ling"] = "know",
    text_column: str = "text",
    image_column: str = "image",
    columns: dict[str, str] | None = None,
    config: str | None = None,
    split: str = "train",
    test_size: int = TEST_SIZE,
    verify: bool = True,
    replace: bool = False,
    rescan: bool = False,
    ner: str = "rules",
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> "BuildReport":
    """Build a dataset in MELLA's Parquet layout from a raw MELLA release, an image folder or another dataset.

    What `out` holds of other sources stays, and images that it has already are left out. Every row that is left out is
    in OUT/rejects with its reason. Stopped at any moment, the same call goes on.

    Args:
        data: folder of the release or of images, or its address, such as "s3://bucket/release"; with source="hf" a
            Hub repo, a folder, or an address of Parquet files; or a source of your own.
        out: where the dataset goes.
        languages: of the rows; one with source="hf".
        source: how `data` is laid out.
        kind: what the texts are, where `data` does not say.
        text_column: column or key of the text.
        image_column: column of the image (hf).
        columns: name in MELLA's record -> name in the dataset (hf).
        config: of the dataset (hf).
        split: of the dataset (hf).
        test_size: images in each test split, at most a fifth of the rows.
        verify: read, hash and decode every image, and leave out near-duplicates.
        replace: take away what other sources gave to these languages.
        rescan: read everything again, also files with the same size and time of change.
        ner: finds the names in alt-texts without keywords: "rules", or a token-classification model of transformers.
        workers: processes; the number of cores by default, 0 runs in this process.
        executor: runs the work instead, such as a Dask cluster's.
        progress: show bars.

    Raises:
        MellaError: when `data` is not laid out as `source` says, or an option does not go with it.
    """
    codes = read_codes(languages)
    if not isinstance(data, str | Path) and not hasattr(data, "units"):
        raise MellaError(
            f"DATA is a {type(data).__name__}, and not a folder, an address, a Hub repo or a source of your own. "
            "Write it with its to_parquet to FOLDER/train.parquet, and build FOLDER with source='hf'."
        )
    root = _data_root(data, source) if isinstance(data, str | Path) else None
    if isinstance(root, Place) and root.protocol == "memory":  # of this process
        workers, executor = 0, None
    from mella_hf.dataset.building.build import build_dataset as run

    found: Any = data
    if root is not None:
        found = _source(source, root, str(data), codes, kind, text_column, image_column, columns or {}, config, split)
    return run(
        found, out, workers=workers, executor=executor, test_size=test_size, verify=verify, replace=replace,
        rescan=rescan, ner=ner, origin="", progress=progress,
    )  # fmt: skip


def _data_root(data: str | Path, source: str) -> Path | Place:
    """DATA as a path or a place. Raises MellaError when it must be a folder and is not."""
    if source == "hf":
        page = _HUB_PAGE.fullmatch(str(data))
        if page:
            raise MellaError(f"DATA {str(data)!r} is a page of the Hub; give the repo's name, {page[1]!r}.")
        return root_of(data)
    root = root_of(data)
    if isinstance(root, Place):
        root.require_folder()
    elif not root.is_dir():
        raise MellaError(f"DATA {str(data)!r} is not a folder; give the folder that --source {source} reads.")
    return root


def _source(
    source: str,
    root: Path | Place,
    data: str,
    codes: tuple[str, ...],
    kind: str,
    text_column: str,
    image_column: str,
    columns: dict[str, str],
    config: str | None,
    split: str,
) -> "Source":
    from mella_hf.sources.folder import FolderSource
    from mella_hf.sources.hf import HfSource
    from mella_hf.sources.parquet import ParquetSource
    from mella_hf.sources.release import ReleaseSource

    if source == "hf":
        if len(codes) != 1:
            raise MellaError(
                f"--source hf reads one language at a time; --languages names {len(codes)}: {', '.join(codes)}. "
                "Build them one after the other into the same --out."
            )
        if isinstance(root, Place):
            if config is not None:
                raise MellaError(f"--config {config!r} does not go with an address; give the folder of its files.")
            return ParquetSource(root, codes[0], kind, split, image_column, text_column, columns)
        place = str(root) if root.is_dir() else data  # a cluster's workers start elsewhere
        return HfSource(place, codes[0], kind, config, split, image_column, text_column, columns)
    return ReleaseSource(root, codes) if source == "release" else FolderSource(root, codes, kind, text_column)


def train(recipe: "str | Path | Settings | None" = None, **settings: Any) -> Path:
    """Train an adapter, to the end or from where an earlier call with the same settings was stopped.

        mella_hf.train(
            "joint", model_name_or_path="Qwen/Qwen2-VL-7B-Instruct", languages="ar", output_dir="outputs/ar"
        )

    Args:
        recipe: its name or path; or settings that are made already.
        settings: replace those of the recipe.

    Returns:
        The adapter's folder: weights and processor. `training.json` beside it has the loss curve.

    Raises:
        MellaError: on a setting that cannot work, or a folder that holds a run with other settings.
        TrainingError: when the run breaks.
    """
    from mella_hf.training.arguments.parsing import recipe_settings
    from mella_hf.training.arguments.settings import Settings
    from mella_hf.training.sft import train as run

    if isinstance(recipe, Settings):
        if settings:
            raise MellaError(f"{next(iter(settings))} was given beside settings that are made; put it into them.")
        return run(recipe)
    return run(recipe_settings(recipe, settings))


@dataclass(frozen=True, repr=False)
class Report:
    """A page that was written.

    Attributes:
        page: its path; a Report can be opened like one.
        runs: what it is about.
        choices: people's choices that were kept in each run's folder.
        notes: for each run, what its scores rest on.
        exported: files in the formats of others.
    """

    page: Path
    runs: "Sequence[Run]"
    choices: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    exported: "Sequence[Path]" = ()

    def __fspath__(self) -> str:
        return str(self.page)

    def __repr__(self) -> str:
        return "\n".join([f"Report({str(self.page)!r})", *map(repr, self.runs)])

    def _repr_html_(self) -> str:
        """The page itself in a frame; of a large page the scores and a link, because a notebook keeps what it shows."""
        from mella_hf.html.notebook import page_frame, page_link

        return page_frame(self.page) or "".join(run._repr_html_() for run in self.runs) + page_link(self.page)


def report(
    runs: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    human: Sequence[str | Path] = (),
    rescore: bool = False,
    export: str | Path | None = None,
) -> Report:
    """Write the report of an evaluation, or the comparison of several, as one HTML page.

    Every score is computed again from the answers in the run folders, which may come from another machine.

    Args:
        runs: folders that `evaluate` wrote; NAME=FOLDER gives the run's adapter a name.
        out: the page; by default report.html in the run's folder, or comparison.html here for several.
        human: blind choices between answers, as `mella review --answers` keeps or exports them.
        rescore: score with this installation where it scores with another signature than the run has, and keep that.
        export: a folder for the scores as Every Eval Ever and the Hub read them (`mella_hf.evaluation.export`).

    Raises:
        MellaError: when a folder holds no finished evaluation or not the answers that it records, when signatures
            differ, a file holds no choices, or nothing can be written at `out` or `export`.
    """
    from mella_hf.answers.systems import named
    from mella_hf.evaluation.export import export_runs
    from mella_hf.evaluation.judging.human import keep_choices, read_choices
    from mella_hf.evaluation.recompute import recompute
    from mella_hf.evaluation.reports.comparison import write_comparison
    from mella_hf.evaluation.reports.report import write_report
    from mella_hf.evaluation.run import load_run

    given = [named(str(run)) for run in _listed(runs)]
    default = Path(given[0][1]) / "report.html" if len(given) == 1 else Path("comparison.html")
    check_place("--out", Path(out or default))
    if export is not None:
        check_place("--export", Path(export), folder=True)
    decisions = [decision for path in human for decision in read_choices(Path(path))]
    loaded = [(name, recompute(load_run(folder), rescore=rescore)) for name, folder in given]
    found = [run for _, run in loaded]
    kept = {str(run.folder): keep_choices(run, decisions) for run in found if decisions}
    page = write_report(found[0], out) if len(found) == 1 else write_comparison(loaded, out or default)
    exported = export_runs(found, export) if export is not None else []
    return Report(page, found, kept, {str(run.folder): run.note for run in found}, exported)


def _moment(day: datetime) -> datetime:
    return day if day.tzinfo else day.replace(tzinfo=UTC)


def _listed(given: Any) -> list[Any]:
    """One value or several, as a list."""
    return [given] if isinstance(given, str | Path) else list(given)
