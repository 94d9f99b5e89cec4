"""Fetch the requests of a shard (`url`, `referrer`): one FETCHED row for each, with its body or a reason.

    OUT/{shard}/rows.parquet   FETCHED, in the order of the requests
    OUT/log/{shard}.sqlite     every attempt, and the state from which an interrupted shard goes on
    OUT/rejects, OUT/done      as in every stage of `mella_hf.stage`

All requests to a host must be in the same shard: a shard is one event loop in one process, and this loop limits how
often the host is asked. The `Referer` header is not sent: a site may serve its images to its own pages only.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from aiohttp.abc import AbstractResolver

from mella_hf.know.fetching.crawl import Crawler
from mella_hf.know.fetching.download import is_retryable
from mella_hf.know.fetching.log import FetchLog
from mella_hf.know.fetching.settings import FetchSettings
from mella_hf.know.records import FETCHED, ROWS
from mella_hf.progress import progress_bar
from mella_hf.stage import DROPPED, Shard, ShardOutput, StageReport, fingerprint, run_stage

FETCH_VERSION = 2  # a change of what the stage does to rows; makes it run again
FETCH_SHARDS = 8  # few, so that one event loop has many hosts to turn to while others rest
_GROUP_BYTES = 32 << 20  # of bodies in a row group: what writing holds in memory
_GROUP_ROWS = 256


def fetch(
    requests: Sequence[Path],
    out: Path | str,
    settings: FetchSettings,
    *,
    shards: int = FETCH_SHARDS,
    retry: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> StageReport:
    """Fetch what the request files name, politely and resumably.

    Args:
        requests: Parquet files of `records.REQUESTS`; no URL twice, no host in two files.
        shards: event loops; the files are spread over them in order. Part of the layout: keep it between runs.
        retry: ask again for what failed for a reason that may have passed (`is_retryable`), and for nothing else.
        workers, executor, progress: as for `run_stage`.

    Returns:
        the report; "kept" counts bodies, "dropped_<reason>" URLs without one, "overridden_<reservation>" bodies
        that were kept against a reservation because `settings.honour_reservations` is off.
    """
    out = Path(out).resolve()
    work = partial(fetch_shard, out=str(out), settings=settings, progress=progress)
    jobs = _shards(requests, shards)
    if retry:
        for job in jobs:
            _reopen(out, job.name)
    deciding = {"version": FETCH_VERSION, **settings.deciding(), "refresh_before": settings.refresh_before}
    usual = {**FetchSettings(settings.contact).deciding(), "refresh_before": 0.0}
    return run_stage(
        "fetch",
        work,
        jobs,
        out,
        settings=deciding,
        defaults=usual,
        workers=workers,
        executor=executor,
        progress=progress,
    )


def _shards(requests: Sequence[Path], count: int) -> list[Shard]:
    groups: list[list[Path]] = [list(requests[start::count]) for start in range(min(count, len(requests)))]
    return [
        Shard(f"{number:03d}", [[str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest()] for path in group])
        for number, group in enumerate(groups)
    ]


def _reopen(out: Path, name: str) -> None:
    """Take the completion marker of a shard away when some of its failures may have passed."""
    marker = out / "done" / f"{name}.json"
    if not marker.exists():
        return
    counts = json.loads(marker.read_text("utf-8"))["counts"]
    if any(is_retryable(reason.removeprefix(DROPPED)) for reason in counts):
        marker.unlink()


def fetch_shard(
    shard: Shard,
    output: ShardOutput,
    *,
    out: str,
    settings: FetchSettings,
    progress: bool = False,
    resolver: AbstractResolver | None = None,
) -> None:
    """The work of one shard: fetch what has no result yet, then write all results."""
    log = FetchLog(Path(out) / "log" / f"{shard.name}.sqlite", fingerprint(settings.deciding()))
    try:
        published = Path(out) / shard.name / ROWS
        if published.exists():
            log.adopt(published)
        asked = [row for path, _ in shard.payload for row in pq.read_table(path).to_pylist()]
        urls = [row["url"] for row in asked]
        pages = {row["url"]: row["referrer"] for row in asked if row["referrer"] is not None}
        bar = progress_bar(total=len(urls), desc=f"fetch {shard.name}", unit="URL", mininterval=2, shown=progress)
        with bar:
            asyncio.run(Crawler(settings, log, resolver).crawl(urls, bar.update, pages))
        _write(log, urls, output)
        log.forget_bodies()
    finally:
        log.close()


def _write(log: FetchLog, urls: Sequence[str], output: ShardOutput) -> None:
    leaf = "body"
    compression = {name: "NONE" if name == leaf else "ZSTD" for name in FETCHED.names}
    with pq.ParquetWriter(
        output.folder / ROWS, FETCHED, compression=compression, use_dictionary=["kind", "content_type", "reason"]
    ) as writer:
        for group in _row_groups(log, urls, output):
            writer.write_table(pa.Table.from_pylist(group, schema=FETCHED), row_group_size=len(group))


def _row_groups(log: FetchLog, urls: Sequence[str], output: ShardOutput) -> Iterator[list[dict[str, object]]]:
    group: list[dict[str, object]] = []
    size = 0
    for row, overridden in log.rows(urls):
        if row["reason"] is None:
            output.keep()
        else:
            output.drop(row["reason"], url=row["url"], status=row["status"])
        if overridden is not None:
            output.counts[f"overridden_{overridden}"] += 1
        group.append(row)
        size += row["bytes"] or 0
        if size >= _GROUP_BYTES or len(group) == _GROUP_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group
