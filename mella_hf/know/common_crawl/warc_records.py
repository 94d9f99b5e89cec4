"""Fetch the picked pages from Common Crawl's WARC files, record by record, into WARC files of our own.

OUT/{shard}/records.warc.gz   the records, as they lie in Common Crawl's files
OUT/{shard}/rows.parquet      what became of each page, and its place in that file
"""

import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mella_hf.know.common_crawl.index import LASTING, PLACES, answers, unanswered
from mella_hf.know.common_crawl.pick import place_of
from mella_hf.know.common_crawl.ranges import RangeFailed, RangeReader
from mella_hf.know.common_crawl.settings import CrawlSettings
from mella_hf.know.common_crawl.turnstile import Turnstile
from mella_hf.know.records import ROWS, file_mark
from mella_hf.stage import Shard, ShardOutput

WARC = "records.warc.gz"
SHARD_PAGES = 1000  # what an interrupted run repeats, of each worker
GAP = 32 << 10  # bytes between two records that are fetched along rather than asked for apart: about one record
_MOST = 8 << 20  # bytes of one request
_AT_ONCE = 4  # requests under way in one process
_GIVEN_UP = 3  # ranges in a row that the server does not give: the file, or the server, is not there
_MAX_RECORD = 64 << 20  # inflated; Common Crawl cuts pages at 5 MiB
_STEP = 1 << 20
_FATE = pa.schema([*PLACES, ("reason", pa.string()), ("at", pa.int64())])


class Range(NamedTuple):
    """One request: the rows whose records lie in it."""

    file: str
    start: int
    length: int
    rows: list[dict[str, Any]]


def record_shards(picked: Sequence[Path]) -> list[Shard]:
    """Shards of SHARD_PAGES pages; those of one WARC file are together where they fit."""
    if not picked:
        return []
    marks = [file_mark(path) for path in picked]
    column = ds.dataset([str(path) for path in picked]).to_table(columns=["bucket"])["bucket"]
    found = sorted((pair["values"], pair["counts"]) for pair in pc.value_counts(column).to_pylist())
    return [
        Shard(f"{bucket:03d}-{start // SHARD_PAGES:04d}", {"bucket": bucket, "start": start, "inputs": marks})
        for bucket, count in found
        for start in range(0, count, SHARD_PAGES)
    ]


def fetch_records(shard: Shard, output: ShardOutput, *, settings: CrawlSettings, turnstile: str, out: str) -> None:
    """The work of the stage: fetch the records of some pages; those of an earlier run are copied.

    Rejects: `record_missing` (no such file), `record_mismatch` (not the page that the index says, or damaged);
    `record_busy`, `record_incomplete`, `record_unreachable` may pass. Where three ranges of a file in a row are not to
    be had, but the server answers, the others of that file are given up too. Counts "record_bytes" and
    "record_requests".

    Raises:
        MellaError: the server does not answer any more.
    """
    inputs = [path for path, *_ in shard.payload["inputs"]]
    table = ds.dataset(inputs).to_table(filter=pc.field("bucket") == shard.payload["bucket"])
    start = shard.payload["start"]
    rows = sorted(table.to_pylist(), key=place_of)[start : start + SHARD_PAGES]
    known = _Earlier(Path(out) / shard.name)
    reader = RangeReader(settings, Turnstile(turnstile, settings.rate))
    missing = [row for row in rows if place_of(row) not in known.places]
    with open(output.folder / WARC, "wb") as file:
        for row in rows:
            copy = known.record(row)
            if copy is not None:
                row["at"] = file.tell()
                file.write(copy)
        for row, data in _fetched(merge(missing), reader, _Watch(reader, settings)):
            if isinstance(data, bytes):
                row["at"] = file.tell()
                file.write(data)
            else:
                row["reason"] = f"record_{data.reason}"
                output.drop(row["reason"], url=row["url"], detail=data.detail)
    output.keep(sum(row.get("reason") is None for row in rows))
    output.counts.update({f"record_{name}": n for name, n in reader.counts.items()})
    pq.write_table(pa.Table.from_pylist(rows, schema=_FATE), output.folder / ROWS, compression="ZSTD")


class _Earlier:
    """The records that an earlier run of a shard left."""

    def __init__(self, folder: Path):
        self._path = folder / WARC
        there = self._path.exists() and (folder / ROWS).exists()
        rows = pq.read_table(folder / ROWS).to_pylist() if there else []
        self.places = {place_of(row): row for row in rows if row["at"] is not None}

    def record(self, row: dict[str, Any]) -> bytes | None:
        """The bytes of a record; None where there are none."""
        known = self.places.get(place_of(row))
        if known is None:
            return None
        with open(self._path, "rb") as file:
            file.seek(known["at"])
            return file.read(known["warc_record_length"])


def merge(rows: Sequence[dict[str, Any]]) -> Iterator[Range]:
    """The requests for rows that are in the order of their places: neighbours, with at most GAP between, are one."""
    group: list[dict[str, Any]] = []
    end = 0
    for row in rows:
        begin, length = row["warc_record_offset"], row["warc_record_length"]
        if group:
            first = group[0]
            near = row["warc_filename"] == first["warc_filename"] and begin - end <= GAP
            if not near or begin + length - first["warc_record_offset"] > _MOST:
                yield _range(group, end)
                group = []
        group.append(row)
        end = max(end, begin + length) if len(group) > 1 else begin + length
    if group:
        yield _range(group, end)


def _range(rows: list[dict[str, Any]], end: int) -> Range:
    start = rows[0]["warc_record_offset"]
    return Range(rows[0]["warc_filename"], start, end - start, rows)


class _Watch:
    """Notices when the server, or one of its files, is gone."""

    def __init__(self, reader: RangeReader, settings: CrawlSettings):
        self._reader, self._settings = reader, settings
        self._in_a_row: list[str] = []  # the files of the ranges that were not given since the last that was
        self.closed: dict[str, RangeFailed] = {}  # files that are given up

    def note(self, wanted: Range, result: bytes | RangeFailed) -> None:
        """Take notice of a range that was asked for. Raises MellaError when the server is gone."""
        if not isinstance(result, RangeFailed) or result.reason in LASTING:
            self._in_a_row = []
        elif wanted.file not in self.closed:
            self._in_a_row.append(wanted.file)
            if len(self._in_a_row) < _GIVEN_UP:
                return
            if len(set(self._in_a_row)) > 1 or not answers(self._reader, self._settings):
                raise unanswered(result)
            self.closed[wanted.file] = result


def _fetched(
    ranges: Iterator[Range], reader: RangeReader, watch: _Watch
) -> Iterator[tuple[dict[str, Any], bytes | RangeFailed]]:
    """Each row with its record, in order; some ranges are read ahead. Raises MellaError when the server is gone."""
    waiting: deque[tuple[Range, Future[bytes | RangeFailed]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE, "records") as pool:
        try:
            for wanted in ranges:
                waiting.append((wanted, pool.submit(_read, reader, wanted, watch)))
                if len(waiting) == _AT_ONCE:
                    yield from _noted(*waiting.popleft(), watch)
            while waiting:
                yield from _noted(*waiting.popleft(), watch)
        finally:
            for _, future in waiting:
                future.cancel()


def _read(reader: RangeReader, wanted: Range, watch: _Watch) -> bytes | RangeFailed:
    closed = watch.closed.get(wanted.file)
    if closed is not None:
        return closed
    try:
        return reader.read(wanted.file, wanted.start, wanted.length)
    except RangeFailed as failure:
        return failure


def _noted(
    wanted: Range, future: "Future[bytes | RangeFailed]", watch: _Watch
) -> Iterator[tuple[dict[str, Any], bytes | RangeFailed]]:
    watch.note(wanted, future.result())
    yield from _records(wanted, future.result())


def _records(wanted: Range, data: bytes | RangeFailed) -> Iterator[tuple[dict[str, Any], bytes | RangeFailed]]:
    for row in wanted.rows:
        if isinstance(data, RangeFailed):
            yield row, data
            continue
        begin = row["warc_record_offset"] - wanted.start
        record = data[begin : begin + row["warc_record_length"]]
        problem = problem_of(record, row["url"])
        yield row, RangeFailed("mismatch", problem) if problem else record


def problem_of(record: bytes, url: str) -> str | None:
    """Why some bytes are not the record of a page, a gzip member of its own; None where they are."""
    inflater = zlib.decompressobj(31)
    head, size = b"", 0
    try:
        data = record
        while data and not inflater.eof:
            piece = inflater.decompress(data, _STEP)
            head, size, data = head or piece, size + len(piece), inflater.unconsumed_tail
            if size > _MAX_RECORD:
                return f"inflates to more than {_MAX_RECORD:,} bytes"
    except zlib.error as error:
        return f"no gzip member: {error}"
    if not inflater.eof or inflater.unused_data:
        return "the member does not end where the record does"
    fields = head.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
    named = dict(line.lower().partition(":")[::2] for line in fields[1:])
    uri = next((line.partition(":")[2].strip() for line in fields if line.lower().startswith("warc-target-uri:")), "")
    if not fields[0].startswith("WARC/") or named.get("warc-type", "").strip() != "response":
        return "no response record"
    return None if uri == url else f"is the page {uri}"
