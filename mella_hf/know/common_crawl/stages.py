"""The stages of a collection from Common Crawl: select pages in the index, pick, fetch their records."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mella_hf.know.common_crawl.index import index_files, index_shards, select_shard, turnstile_file
from mella_hf.know.common_crawl.pick import pick_bucket
from mella_hf.know.common_crawl.ranges import RangeReader
from mella_hf.know.common_crawl.settings import CrawlSettings
from mella_hf.know.common_crawl.turnstile import Turnstile
from mella_hf.know.common_crawl.warc_records import WARC, fetch_records, record_shards
from mella_hf.know.fetching.download import is_retryable
from mella_hf.know.requests import bucket_shards
from mella_hf.stage import DROPPED, Shard, Work

CRAWL_VERSION = 1  # a change of what these stages do to rows; makes them run again

RunStage = Callable[[str, Work, Sequence[Shard], Any], list[Path]]


def fetch_pages(settings: CrawlSettings, work: Path, run: RunStage, *, retry: bool) -> list[Path]:
    """The WARC files of the pages that are asked for.

    Args:
        work: the folder of the stages.
        run: runs a stage, of a name, and returns the files of its rows.
        retry: ask again for records that could not be had for a reason that may have passed.

    Raises:
        MellaError: a crawl that does not exist, or a server that does not answer any more.
    """
    place = turnstile_file(work)
    reader = RangeReader(settings, Turnstile(place, settings.rate))
    select = partial(select_shard, settings=settings, turnstile=place)
    version = {"version": CRAWL_VERSION}
    files = index_files(settings, reader)
    found = run("index", select, index_shards(files), version | settings.selecting())
    limits = version | {"languages": settings.languages, "pages_per_site": settings.pages_per_site}
    picked = run("picked", partial(pick_bucket, settings=settings), bucket_shards(found), limits)
    shards = record_shards(picked)
    out = work / "records"
    if retry:
        for shard in shards:
            _reopen(out / "done" / f"{shard.name}.json")
    fetch = partial(fetch_records, settings=settings, turnstile=place, out=str(out))
    fetched = run("records", fetch, shards, version | {"base": settings.base})
    warcs = [path.with_name(WARC) for path in fetched]
    return [path for path in warcs if path.stat().st_size]


def _reopen(marker: Path) -> None:
    """Take the completion marker of a shard away when some of its failures may have passed."""
    if marker.exists():
        counts = json.loads(marker.read_text("utf-8"))["counts"]
        if any(is_retryable(reason.removeprefix(DROPPED)) for reason in counts):
            marker.unlink()
