"""Read a file of Common Crawl's columnar index: which rows of a row group are asked for.

Of each row group first the columns are read that decide; the others only where a page was found. A file that is cut
off, damaged or has other columns is an IndexProblem and ends nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mella_hf.know.common_crawl.ranges import RangeFile, RangeReader
from mella_hf.know.common_crawl.settings import CrawlSettings

HTML = ("text/html", "application/xhtml+xml")
DECIDING = ("content_languages", "content_mime_detected", "fetch_status")
PLACE = ("url", "fetch_time", "warc_filename", "warc_record_offset", "warc_record_length")
BATCH = 1 << 16
_HOST, _TLD = "url_host_name", "url_host_tld"
_REPEATING = ("content_languages", "content_mime_detected", _TLD, "warc_filename")  # read as dictionaries


class IndexProblem(Exception):
    """A file of the index, or a row group of it, that cannot be used; the argument says why."""


@contextmanager
def usable() -> Iterator[None]:
    """Turn what pyarrow raises for a damaged file, or for columns of other types, into IndexProblem."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise IndexProblem(f"{type(error).__name__}: {error}".partition("\n")[0]) from error


def open_index(reader: RangeReader, path: str, settings: CrawlSettings) -> pq.ParquetFile:
    """A file of the index. Raises RangeFailed, and IndexProblem where it is no Parquet file or lacks a column."""
    with usable():
        file = RangeFile(reader, path)
        metadata = pq.read_metadata(file)
        group = metadata.row_group(0) if metadata.num_row_groups else None
        found = {group.column(number).path_in_schema for number in range(group.num_columns)} if group else None
        missing = [] if found is None else sorted({*DECIDING, *PLACE, *_of_host(settings)} - found)
        if missing:
            raise IndexProblem(f"it has no column {' and no column '.join(missing)}")
        repeating = [name for name in _REPEATING if found and name in found]
        return pq.ParquetFile(file, metadata=metadata, pre_buffer=True, read_dictionary=repeating)


def _of_host(settings: CrawlSettings) -> tuple[str, ...]:
    """The column that decides where sites or top-level domains are asked for."""
    return (_HOST,) if settings.sites or settings.tlds else ()


def columns_read(settings: CrawlSettings) -> set[str]:
    """The columns of a row group that a selection reads, where a page is found."""
    return {*DECIDING, *PLACE, *_of_host(settings)}


def may_hold(file: pq.ParquetFile, group: int, settings: CrawlSettings) -> bool:
    """Whether a row group can have pages that are asked for, by its statistics; where it has none, it can."""
    found = file.metadata.row_group(group)
    columns = (found.column(number) for number in range(found.num_columns))
    column = next((column for column in columns if column.path_in_schema == _TLD), None)
    statistics = column.statistics if column is not None else None
    if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, str):
        return True
    return settings.may_hold(statistics.min, statistics.max)


def wanted_rows(file: pq.ParquetFile, group: int, settings: CrawlSettings) -> np.ndarray:
    """Whether each row of a row group is asked for: bool [rows]. Raises RangeFailed and IndexProblem."""
    columns = [*DECIDING, *_of_host(settings)]
    masks = []
    with usable():
        for batch in file.iter_batches(BATCH, row_groups=[group], columns=columns, use_threads=False):
            mask = _is_any(batch["content_languages"], lambda label: _wants_label(settings, label))
            mask &= _is_any(batch["content_mime_detected"], lambda kind: kind in HTML)
            mask &= pc.equal(batch["fetch_status"], 200).fill_null(False).to_numpy(zero_copy_only=False)
            if _of_host(settings) and mask.any():
                hosts = batch[_HOST].filter(pa.array(mask)).cast(pa.string()).to_pylist()
                mask[mask] = [settings.wants_host(host or "") for host in hosts]
            masks.append(mask)
    return np.concatenate(masks) if masks else np.zeros(0, bool)


@lru_cache(maxsize=1 << 16)  # combinations of three languages: some thousands
def _wants_label(settings: CrawlSettings, label: str | None) -> bool:
    return settings.wants_label(label)


def _is_any(column: pa.Array, accept: Callable[[str | None], bool]) -> np.ndarray:
    """Whether each value of a column is accepted; each distinct value is looked at once. Nulls are not."""
    if not isinstance(column, pa.DictionaryArray):
        column = column.cast(pa.string()).dictionary_encode()
    if not len(column.dictionary):
        return np.zeros(len(column), bool)
    accepted = np.array([accept(value) for value in column.dictionary.cast(pa.string()).to_pylist()])
    indices = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return accepted[indices] & column.is_valid().to_numpy(zero_copy_only=False)
