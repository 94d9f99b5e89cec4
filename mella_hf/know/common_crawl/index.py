"""Select pages from Common Crawl's columnar index: Parquet, a row for each page with its place in a WARC file.

The index of a crawl is some 300 files, together about 300 GB (https://www.commoncrawl.org/columnar-index). Row groups
of other top-level domains are not read at all: the files are in the order of reversed host names.
"""

import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mella_hf.errors import MellaError
from mella_hf.know.common_crawl.index_file import (
    BATCH,
    PLACE,
    IndexProblem,
    may_hold,
    open_index,
    usable,
    wanted_rows,
)
from mella_hf.know.common_crawl.ranges import RangeFailed, RangeReader
from mella_hf.know.common_crawl.settings import CrawlSettings
from mella_hf.know.common_crawl.turnstile import Turnstile
from mella_hf.know.records import ROWS, bucket_of, site_of
from mella_hf.stage import Shard, ShardOutput

PLACES = pa.schema(
    [
        ("url", pa.string()),
        ("languages", pa.string()),  # ISO 639-3 codes, joined by commas, the main one first
        ("fetch_time", pa.timestamp("us", tz="UTC")),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int64()),
        ("warc_record_length", pa.int64()),
        ("bucket", pa.int32()),  # of the site
    ]
)
LASTING = ("missing", "mismatch")  # failures of a range that asking again does not mend
MAX_PACKED = 64 << 20  # bytes of a record; Common Crawl cuts pages at 5 MiB
_MAX_LIST = 64 << 20
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # the age of a page without one


def index_files(settings: CrawlSettings, reader: RangeReader) -> list[str]:
    """The files of the index of all crawls, in order, without those of redirects, errors and robots.txt.

    Raises:
        MellaError: a crawl that does not exist, or whose list cannot be read.
    """
    files: list[str] = []
    for crawl in settings.crawls:
        path = list_of(crawl)
        try:
            lines = _inflated(reader.whole(path, _MAX_LIST)).decode().split()
        except RangeFailed as error:
            if error.reason == "missing":
                raise MellaError(
                    f"There is no crawl {crawl} at {settings.base}{path} ({error.detail}). "
                    "https://commoncrawl.org/overview lists the crawls."
                ) from error
            raise unanswered(error) from error
        except (zlib.error, UnicodeDecodeError) as error:
            raise MellaError(
                f"{settings.base}{path} is not a list of files packed by gzip ({error}). Check the address of the "
                "crawl's files."
            ) from error
        found = [line for line in lines if "/subset=warc/" in line]
        if not found:
            raise MellaError(
                f"{settings.base}{path} names no file of the index (/subset=warc/) among its {len(lines):,} lines. "
                "Check the address of the crawl's files."
            )
        files += found
    return list(dict.fromkeys(files))


def list_of(crawl: str) -> str:
    """The path of the list of a crawl's index files."""
    return f"crawl-data/{crawl}/cc-index-table.paths.gz"


def _inflated(data: bytes) -> bytes:
    """The content of a gzip file. Raises zlib.error where it is none, is cut off or is larger than a list can be."""
    inflater = zlib.decompressobj(31)
    text = inflater.decompress(data, _MAX_LIST)
    if not inflater.eof:
        raise zlib.error("it is cut off" if not inflater.unconsumed_tail else f"more than {_MAX_LIST:,} bytes")
    return text


def unanswered(error: RangeFailed) -> MellaError:
    """What to say when the server does not give what it has."""
    return MellaError(
        f"Common Crawl's server does not answer ({error.reason}: {error.detail}). See https://status.commoncrawl.org, "
        "and run the same command again later: what is done stays done."
    )


def no_index(settings: CrawlSettings, files: int, detail: str) -> MellaError:
    """What to say when no file of the index can be used."""
    return MellaError(
        f"None of the {files:,} files of the index at {settings.base} can be used ({detail}). Check the address of the "
        "crawl's files, and https://status.commoncrawl.org; then run the same command again."
    )


def index_shards(files: Sequence[str]) -> list[Shard]:
    """One shard for each file of the index."""
    return [Shard(f"{number:05d}", {"file": path}) for number, path in enumerate(files)]


def select_shard(shard: Shard, output: ShardOutput, *, settings: CrawlSettings, turnstile: str) -> None:
    """The work of the stage: PLACES of the pages of one file that are asked for.

    Counts "kept" pages, "index_rows", "index_bytes" and "index_requests". Rejects: `index_missing`, `index_damaged`
    (the file, or one of its row groups), `index_busy`, `index_incomplete`, `index_unreachable` (the server gives other
    files, but not this one), and `index_row_invalid` for a page that has no place in a WARC file.

    Raises:
        MellaError: the server does not answer any more.
    """
    reader = RangeReader(settings, Turnstile(turnstile, settings.rate))
    path = shard.payload["file"]
    with pq.ParquetWriter(output.folder / ROWS, PLACES, compression="ZSTD") as writer:
        try:
            file = open_index(reader, path, settings)
            for group in range(file.num_row_groups):
                output.counts["index_rows"] += file.metadata.row_group(group).num_rows
                try:
                    for table in select_group(file, group, settings):
                        writer.write_table(_with_place(table, path, output))
                except IndexProblem as problem:
                    output.drop("index_damaged", file=path, detail=f"row group {group}: {problem}")
        except IndexProblem as problem:
            output.drop("index_damaged", file=path, detail=str(problem))
        except RangeFailed as error:
            if error.reason not in LASTING and not answers(reader, settings):
                raise unanswered(error) from error
            reason = "damaged" if error.reason == "mismatch" else error.reason
            output.drop(f"index_{reason}", file=path, detail=error.detail)
    output.counts.update({f"index_{name}": n for name, n in reader.counts.items()})


def answers(reader: RangeReader, settings: CrawlSettings) -> bool:
    """Whether the server gives what it surely has: the list of a crawl's files."""
    try:
        reader.whole(list_of(settings.crawls[0]), _MAX_LIST)
    except RangeFailed:
        return False
    return True


def select_group(file: pq.ParquetFile, group: int, settings: CrawlSettings) -> Iterator[pa.Table]:
    """The pages of a row group that are asked for, some ten thousand rows of the index at a time."""
    if not may_hold(file, group, settings):
        return
    wanted = wanted_rows(file, group, settings)
    if not wanted.any():
        return
    at = 0
    columns = [*PLACE, "content_languages"]
    with usable():
        for batch in file.iter_batches(BATCH, row_groups=[group], columns=columns, use_threads=False):
            mine = wanted[at : at + batch.num_rows]
            at += batch.num_rows
            if mine.any():
                yield _places(pa.Table.from_batches([batch]).filter(pa.array(mine)))


def _places(table: pa.Table) -> pa.Table:
    """Rows of the index as PLACES."""
    urls = table["url"].cast(pa.string())
    times = table["fetch_time"]
    zone = getattr(times.type, "tz", None)
    times = times.cast(pa.timestamp("us", tz=zone)).cast(pa.timestamp("us", tz="UTC"))
    columns = [
        urls,
        table["content_languages"].cast(pa.string()),
        times.fill_null(_LONG_AGO),
        table["warc_filename"].cast(pa.string()),
        table["warc_record_offset"].cast(pa.int64()),
        table["warc_record_length"].cast(pa.int64()),
        pa.array([bucket_of(site_of(url or "")) for url in urls.to_pylist()], pa.int32()),
    ]
    return pa.Table.from_arrays(columns, schema=PLACES)


def _with_place(table: pa.Table, path: str, output: ShardOutput) -> pa.Table:
    """The rows that say where their page lies; they are counted, and the others are rejects."""
    offset, length = table["warc_record_offset"], table["warc_record_length"]
    valid = pc.and_(pc.greater_equal(offset, 0), pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_PACKED)))
    valid = pc.and_(valid, pc.and_(pc.is_valid(table["url"]), pc.not_equal(table["warc_filename"], "")))
    mask = valid.fill_null(False)
    for row in table.filter(pc.invert(mask)).to_pylist():
        place = f"{row['warc_filename']}, {row['warc_record_length']} bytes from {row['warc_record_offset']} on"
        output.drop("index_row_invalid", url=row["url"], file=path, detail=place)
    kept = table.filter(mask)
    output.keep(kept.num_rows)
    return kept


def turnstile_file(work: Path) -> str:
    """The file that counts the requests of all processes of a collection."""
    work.mkdir(parents=True, exist_ok=True)
    return str(work / "turnstile")
