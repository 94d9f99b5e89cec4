"""The stages of a collection from Common Crawl: select pages in the index, pick, fetch their records."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mella_hf.know.common_crawl.index import (
    index_files,
    index_shards,
    no_index,
    select_shard,
    turnstile_file,
)
from mella_hf.know.common_crawl.pick import pick_bucket
from mella_hf.know.common_crawl.ranges import RangeReader
from mella_hf.know.common_crawl.settings import CrawlSettings
from mella_hf.know.common_crawl.turnstile import Turnstile
from mella_hf.know.common_crawl.warc_records import WARC, fetch_records, record_shards
from mella_hf.know.fetching.download import is_retryable
from mella_hf.know.requests import bucket_shards
from mella_hf.stage import Shard, Work, dropped_by_reason

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
    parts = index_shards(files)
    if retry:
        _reopen(work / "index", parts, lambda reason: reason.startswith("index_") and reason != "index_row_invalid")
    found = run("index", select, parts, version | settings.selecting())
    _require_index(settings, work / "index", parts)
    limits = version | {"languages": settings.languages, "pages_per_site": settings.pages_per_site}
    picked = run("picked", partial(pick_bucket, settings=settings), bucket_shards(found), limits)
    shards = record_shards(picked)
    out = work / "records"
    if retry:
        _reopen(out, shards, is_retryable)
    fetch = partial(fetch_records, settings=settings, turnstile=place, out=str(out))
    fetched = run("records", fetch, shards, version | {"base": settings.base})
    warcs = [path.with_name(WARC) for path in fetched]
    return [path for path in warcs if path.stat().st_size]


def _reopen(out: Path, shards: Sequence[Shard], accept: Callable[[str], bool]) -> None:
    """Take the completion markers of shards away that dropped something for a reason that is accepted."""
    for shard in shards:
        if any(accept(reason) for reason in dropped_by_reason(_counts(out, shard))):
            (out / "done" / f"{shard.name}.json").unlink()


def _counts(out: Path, shard: Shard) -> dict[str, int]:
    """What a shard that is done counted; nothing where it is not done."""
    marker = out / "done" / f"{shard.name}.json"
    counts: dict[str, int] = json.loads(marker.read_text("utf-8"))["counts"] if marker.exists() else {}
    return counts


def _require_index(settings: CrawlSettings, out: Path, parts: Sequence[Shard]) -> None:
    """Raise MellaError when no part of the index could be read; the next run asks for all of them again."""
    if any(_counts(out, part).get("index_rows") for part in parts):
        return
    rejects = [out / "rejects" / f"{part.name}.jsonl" for part in parts]
    lines = [line for path in rejects if path.exists() for line in path.read_text("utf-8").splitlines()]
    if lines:
        _reopen(out, parts, lambda reason: True)
        raise no_index(settings, len(parts), json.loads(lines[0])["detail"])
