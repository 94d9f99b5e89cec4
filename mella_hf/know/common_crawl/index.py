"""Select pages from Common Crawl's columnar index: Parquet, a row for each page with its place in a WARC file.

The index of a crawl is some 300 files, together about 300 GB (https://www.commoncrawl.org/columnar-index). Of each row
group first the columns are read that decide; the others only where a page was found. Row groups of other top-level
domains are not read at all: the files are in the order of reversed host names.
"""

import gzip
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mella_hf.errors import MellaError
from mella_hf.know.common_crawl.ranges import RangeFailed, RangeFile, RangeReader
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
HTML = ("text/html", "application/xhtml+xml")
DECIDING = ("content_languages", "content_mime_detected", "fetch_status")
PLACE = ("url", "fetch_time", "warc_filename", "warc_record_offset", "warc_record_length")
_BATCH = 1 << 16
_MAX_LIST = 64 << 20


def index_files(settings: CrawlSettings, reader: RangeReader) -> list[str]:
    """The files of the index of all crawls, in order, without those of redirects, errors and robots.txt.

    Raises:
        MellaError: a crawl that does not exist, or whose list cannot be read.
    """
    files: list[str] = []
    for crawl in settings.crawls:
        path = f"crawl-data/{crawl}/cc-index-table.paths.gz"
        try:
            lines = gzip.decompress(reader.whole(path, _MAX_LIST)).decode().split()
        except RangeFailed as error:
            if error.reason == "missing":
                raise MellaError(
                    f"There is no crawl {crawl} at {settings.base}{path} ({error.detail}). "
                    "https://commoncrawl.org/overview lists the crawls."
                ) from error
            raise unanswered(error) from error
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise MellaError(
                f"{settings.base}{path} is not a list of files packed by gzip ({error}). Check the address of the "
                "crawl's files."
            ) from error
        files += [line for line in lines if "/subset=warc/" in line]
    return files


def unanswered(error: RangeFailed) -> MellaError:
    """What to say when the server does not give what it has."""
    return MellaError(
        f"Common Crawl's server does not answer ({error.reason}: {error.detail}). See https://status.commoncrawl.org, "
        "and run the same command again later: what is done stays done."
    )


def index_shards(files: Sequence[str]) -> list[Shard]:
    """One shard for each file of the index."""
    return [Shard(f"{number:05d}", {"file": path}) for number, path in enumerate(files)]


def select_shard(shard: Shard, output: ShardOutput, *, settings: CrawlSettings, turnstile: str) -> None:
    """The work of the stage: PLACES of the pages of one file that are asked for.

    Counts "kept" pages, "index_rows", "index_bytes" and "index_requests". A file that the server does not have is the
    reject `index_missing`. Raises MellaError where the server does not answer.
    """
    reader = RangeReader(settings, Turnstile(turnstile, settings.rate))
    path = shard.payload["file"]
    try:
        with pq.ParquetWriter(output.folder / ROWS, PLACES, compression="ZSTD") as writer:
            file = open_index(reader, path)
            for group in range(file.num_row_groups):
                output.counts["index_rows"] += file.metadata.row_group(group).num_rows
                for table in select_group(file, group, settings):
                    output.keep(table.num_rows)
                    writer.write_table(table)
    except RangeFailed as error:
        if error.reason != "missing":
            raise unanswered(error) from error
        output.drop("index_missing", file=path, detail=error.detail)
    except (pa.ArrowException, KeyError) as error:
        raise MellaError(
            f"{settings.base}{path} is not a file of Common Crawl's columnar index: {error}. Check the address of the "
            "crawl's files."
        ) from error
    output.counts.update({f"index_{name}": n for name, n in reader.counts.items()})


def open_index(reader: RangeReader, path: str) -> pq.ParquetFile:
    """A file of the index; its columns of text that repeats are read as dictionaries. Raises RangeFailed."""
    repeating = ["content_languages", "content_mime_detected", "url_host_tld", "warc_filename"]
    return pq.ParquetFile(RangeFile(reader, path), pre_buffer=True, read_dictionary=repeating)


def select_group(file: pq.ParquetFile, group: int, settings: CrawlSettings) -> Iterator[pa.Table]:
    """The pages of a row group that are asked for, some ten thousand rows of the index at a time."""
    if not settings.may_hold(*tlds_of(file, group)):
        return
    wanted = wanted_rows(file, group, settings)
    if not wanted.any():
        return
    at = 0
    columns = [*PLACE, "content_languages"]
    for batch in file.iter_batches(_BATCH, row_groups=[group], columns=columns, use_threads=False):
        mine = wanted[at : at + batch.num_rows]
        at += batch.num_rows
        if mine.any():
            yield _places(pa.Table.from_batches([batch]).filter(pa.array(mine)))


def wanted_rows(file: pq.ParquetFile, group: int, settings: CrawlSettings) -> np.ndarray:
    """Whether each row of a row group is asked for: bool [rows]."""
    by_host = bool(settings.sites or settings.tlds)
    columns = [*DECIDING, *(["url_host_name"] if by_host else [])]
    masks = []
    for batch in file.iter_batches(_BATCH, row_groups=[group], columns=columns, use_threads=False):
        mask = _is_any(batch["content_languages"], lambda label: _wants_label(settings, label))
        mask &= _is_any(batch["content_mime_detected"], lambda kind: kind in HTML)
        mask &= pc.equal(batch["fetch_status"], 200).fill_null(False).to_numpy(zero_copy_only=False)
        if by_host and mask.any():
            hosts = batch["url_host_name"].filter(pa.array(mask)).to_pylist()
            mask[mask] = [settings.wants_host(host or "") for host in hosts]
        masks.append(mask)
    return np.concatenate(masks) if masks else np.zeros(0, bool)


@lru_cache(maxsize=1 << 16)  # combinations of three languages: some thousands
def _wants_label(settings: CrawlSettings, label: str | None) -> bool:
    return settings.wants_label(label)


def _is_any(column: pa.DictionaryArray, accept) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Whether each value of a column is accepted; each distinct value is looked at once. Nulls are not."""
    if not len(column.dictionary):
        return np.zeros(len(column), bool)
    accepted = np.array([accept(value) for value in column.dictionary.to_pylist()])
    indices = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return accepted[indices] & column.is_valid().to_numpy(zero_copy_only=False)


def tlds_of(file: pq.ParquetFile, group: int) -> tuple[str | None, str | None]:
    """The first and the last top-level domain of a row group, by its statistics; None where it has none."""
    column = file.schema_arrow.names.index("url_host_tld")
    found = file.metadata.row_group(group).column(column).statistics
    return (found.min, found.max) if found is not None and found.has_min_max else (None, None)


def _places(table: pa.Table) -> pa.Table:
    """Rows of the index as PLACES."""
    urls = table["url"].to_pylist()
    times = table["fetch_time"]
    times = times.cast(pa.timestamp("us", tz=times.type.tz)) if times.type.tz else times.cast(pa.timestamp("us"))
    columns = [
        pa.array(urls),
        table["content_languages"].cast(pa.string()),
        times.cast(pa.timestamp("us", tz="UTC")),
        table["warc_filename"].cast(pa.string()),
        table["warc_record_offset"].cast(pa.int64()),
        table["warc_record_length"].cast(pa.int64()),
        pa.array([bucket_of(site_of(url)) for url in urls], pa.int32()),
    ]
    return pa.Table.from_arrays(columns, schema=PLACES)


def turnstile_file(work: Path) -> str:
    """The file that counts the requests of all processes of a collection."""
    work.mkdir(parents=True, exist_ok=True)
    return str(work / "turnstile")
