"""Common Crawl by its index: what selecting pages costs, and fetching them beside bare aiohttp.

    python benchmarks/common_crawl.py [--rows 200000] [--records 1000]

A server on loopback, in a process of its own, plays an index with Common Crawl's columns and the WARC files. Prints
index rows a CPU-second, the bytes read against the whole index, and records a second of both programs without a limit
of rate. The pages that are asked for are spread over the whole index; with `--tlds` they would not be.

Bars, exit status 1 when one is missed: at least 100,000 index rows a CPU-second, at most half of the index's bytes, at
most 0.9 requests a record, and at least 0.5 times the records a second of bare aiohttp, which checks nothing.
"""

import argparse
import asyncio
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/know")]

from crawl_server import CrawledPage, CrawlServer, write_crawl  # noqa: E402

from mella_hf.know.common_crawl.index import index_files, index_shards, select_shard  # noqa: E402
from mella_hf.know.common_crawl.pick import pick_bucket  # noqa: E402
from mella_hf.know.common_crawl.ranges import RangeReader  # noqa: E402
from mella_hf.know.common_crawl.settings import CrawlSettings  # noqa: E402
from mella_hf.know.common_crawl.turnstile import Turnstile  # noqa: E402
from mella_hf.know.common_crawl.warc_records import GAP, fetch_records, record_shards  # noqa: E402
from mella_hf.know.records import rows_of  # noqa: E402
from mella_hf.know.requests import bucket_shards  # noqa: E402
from mella_hf.stage import StageReport, run_stage  # noqa: E402

CRAWL = "CC-MAIN-2026-43"
CONNECTIONS = 4  # of both programs
ROWS, SHARE, REQUESTS, PACE = 100_000, 0.5, 0.9, 0.5  # the bars
TLDS = ("co.ke", "com", "net", "org", "de", "ru", "co.tz")


def serve(root: str, pipe: Any) -> None:
    """The server's process."""
    with CrawlServer(Path(root)) as server:
        pipe.send(server.base)
        pipe.recv()


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def stage(name: str, work: Any, shards: Any, out: Path) -> tuple[StageReport, float, float]:
    """(report, CPU seconds, seconds) of a stage in this process."""
    before, start = cpu(), time.perf_counter()
    report = run_stage(name, work, shards, out / name, workers=0, progress=False)
    return report, cpu() - before, time.perf_counter() - start


async def bare(base: str, places: list[tuple[str, int, int]]) -> int:
    """Fetch every record by aiohttp, as one would without a library: no retry, no check, one request each."""
    total = 0
    queue = iter(places)

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal total
        for path, start, length in queue:
            wanted = {"Range": f"bytes={start}-{start + length - 1}"}
            async with session.get(base + path, headers=wanted) as reply:
                total += len(await reply.read())

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(CONNECTIONS)))
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--records", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), arguments.rows, arguments.records)


def measure(folder: Path, rows: int, records: int) -> int:
    """Make the crawl, and print what was measured; 1 when a bar is missed."""
    text = "Wanawake wakiuza samaki katika soko la Mwanza asubuhi. " * 300
    pages = []
    draw = random.Random(1)
    for number in range(records):  # every fifth one has a neighbour
        site = f"s{number % 400}.{TLDS[number % len(TLDS)]}"
        pages.append(CrawledPage(f"http://{site}/{number}", f"{number} {text}", "swa", file=number % 20))
        between = draw.randbytes(GAP).hex() if number % 100 < 80 else ""
        pages.append(CrawledPage(f"http://x.com/{number}", between, "eng", file=number % 20))
    write_crawl(folder / "crawl", CRAWL, pages, filler=rows, parts=4, row_group=50_000)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(str(folder / "crawl"), theirs), daemon=True
    )
    server.start()
    settings = CrawlSettings((CRAWL,), ("sw", "yo"), "benchmark", base=ours.recv(), rate=1e6)
    place = str(folder / "turnstile")
    files = index_files(settings, RangeReader(settings, Turnstile(place, settings.rate)))
    selecting = _Selecting(settings, place)
    stage("first", selecting.select, index_shards(files), folder)  # once, for imports
    found, seconds, _ = stage("index", selecting.select, index_shards(files), folder)
    whole = sum(path.stat().st_size for path in folder.rglob("*.gz.parquet"))
    read = found.counts["index_bytes"]
    pace = found.counts["index_rows"] / seconds
    print(f"selection: {pace:,.0f} index rows a CPU-second; {read / 1e6:.1f} MB read of "
          f"{whole / 1e6:.1f} MB, {read / whole:.0%}, in {found.counts['index_requests']} requests; "
          f"{found.counts['kept']:,} pages")  # fmt: skip
    picked, _, _ = stage("picked", selecting.pick, bucket_shards(rows_of(found.outputs)), folder)
    paths = rows_of(picked.outputs)
    places = sorted(
        (row["warc_filename"], row["warc_record_offset"], row["warc_record_length"])
        for path in paths for row in pq.read_table(path).to_pylist()
    )  # fmt: skip
    selecting.out = str(folder / "records")
    fetched, cpu_ours, seconds = stage("records", selecting.fetch, record_shards(paths), folder)
    ours_pace, asked = fetched.counts["kept"] / seconds, fetched.counts["record_requests"] / len(places)
    print(f"mella: {fetched.counts['kept'] / seconds:,.0f} records a second, {cpu_ours:.1f} CPU-seconds, "
          f"{fetched.counts['record_requests']:,} requests for {len(places):,} records, each checked")  # fmt: skip
    before, start = cpu(), time.perf_counter()
    asyncio.run(bare(settings.base, places))
    seconds = time.perf_counter() - start
    print(f"aiohttp: {len(places) / seconds:,.0f} records a second, {cpu() - before:.1f} CPU-seconds, none checked")
    ours.send("end")
    server.join()
    theirs_pace = len(places) / seconds
    met = pace >= ROWS and read <= SHARE * whole and asked <= REQUESTS and ours_pace >= PACE * theirs_pace
    print(f"{ours_pace / theirs_pace:.2f} times bare aiohttp; {'met' if met else 'MISSED'}")
    return int(not met)


class _Selecting:
    """The functions that each stage runs on a shard, with their settings."""

    def __init__(self, settings: CrawlSettings, turnstile: str):
        self.settings, self.turnstile, self.out = settings, turnstile, ""

    def select(self, shard: Any, output: Any) -> None:
        select_shard(shard, output, settings=self.settings, turnstile=self.turnstile)

    def pick(self, shard: Any, output: Any) -> None:
        pick_bucket(shard, output, settings=self.settings)

    def fetch(self, shard: Any, output: Any) -> None:
        fetch_records(shard, output, settings=self.settings, turnstile=self.turnstile, out=self.out)


if __name__ == "__main__":
    sys.exit(main())
