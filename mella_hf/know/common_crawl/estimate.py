"""What a collection from Common Crawl costs, before it begins: pages, bytes, requests, hours.

The footers of all files of the index are read, and a sample of their row groups, spread evenly; the rest is
calculated.
"""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.stats import t as student

from mella_hf.errors import MellaError
from mella_hf.know.common_crawl.index import LASTING, index_files, no_index, turnstile_file, unanswered
from mella_hf.know.common_crawl.index_file import (
    IndexProblem,
    columns_read,
    may_hold,
    open_index,
    usable,
    wanted_rows,
)
from mella_hf.know.common_crawl.ranges import RangeFailed, RangeReader
from mella_hf.know.common_crawl.settings import CrawlSettings
from mella_hf.know.common_crawl.turnstile import Turnstile
from mella_hf.progress import progress_bar

SAMPLE = 32  # row groups
_SURE = 0.95


@dataclass(frozen=True)
class CrawlCosts:
    """What a collection will take. All but the counts of the index are estimates, unless the sample was the whole.

    Attributes:
        files, rows: of the index; `rows` only of row groups that can hold what is asked for.
        index_bytes, index_requests: to select the pages; at most.
        pages: that the index offers, copies in several crawls and pages over the limit of a site included.
        pages_low, pages_high: their 95% interval, from the sample's row groups.
        page_bytes: of their records, packed.
        requests: one for each page, at most: neighbours are fetched together.
        bytes_per_second: at which the sample came.
        hours: at the rate and at this speed, images not included.
        groups, sampled: row groups, and how many were read.
        unread: files of the index that are not there or are damaged.
    """

    files: int
    rows: int
    index_bytes: int
    index_requests: int
    pages: float
    pages_low: float
    pages_high: float
    page_bytes: float
    requests: float
    bytes_per_second: float
    hours: float
    groups: int
    sampled: int
    unread: int = 0

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        exact = self.sampled == self.groups
        interval = "" if exact else f" (95%: {self.pages_low:,.0f} to {self.pages_high:,.0f})"
        how = "counted" if exact else f"estimated from {self.sampled:,} of {self.groups:,} row groups"
        unread = f" ({self.unread:,} more cannot be read)" if self.unread else ""
        return [
            f"Index      {self.rows:,} rows in {self.files - self.unread:,} files{unread}; "
            f"at most {_size(self.index_bytes)} in {self.index_requests:,} requests",
            f"Pages      {self.pages:,.0f}{interval}, {how}",
            f"Records    {_size(self.page_bytes)} in at most {self.requests:,.0f} requests",
            f"Time       {self.hours:.1f} hours at {_size(self.bytes_per_second)} a second, without the images",
        ]


def estimate(settings: CrawlSettings, *, sample: int = SAMPLE, progress: bool = True) -> CrawlCosts:
    """Estimate what `collect` will take with these settings. The limit of pages a site is not considered.

    Raises:
        MellaError: a crawl that does not exist, or a server that does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        reader = RangeReader(settings, Turnstile(turnstile_file(Path(folder)), settings.rate))
        try:
            return _estimate(settings, reader, sample, progress)
        except RangeFailed as error:
            raise unanswered(error) from error


def _estimate(settings: CrawlSettings, reader: RangeReader, sample: int, progress: bool) -> CrawlCosts:
    files = index_files(settings, reader)
    groups: list[tuple[str, int]] = []
    rows = size = requests = unread = 0
    problem = ""
    for path in progress_bar(files, desc="index", unit="file", shown=progress):
        try:
            file = open_index(reader, path, settings)
        except IndexProblem as error:
            unread, problem = unread + 1, f"{path}: {error}"
            continue
        except RangeFailed as error:
            if error.reason not in LASTING:
                raise
            unread, problem = unread + 1, error.detail
            continue
        found = [g for g in range(file.num_row_groups) if may_hold(file, g, settings)]
        groups += [(path, group) for group in found]
        rows += sum(file.metadata.row_group(group).num_rows for group in found)
        size += sum(_bytes_of(file, group, settings) for group in found)
        requests += 1 + 2 * len(found)
    if unread == len(files):
        raise no_index(settings, len(files), problem)
    if not groups:
        raise MellaError("No part of the index can hold such pages: check the sites and the top-level domains.")
    drawn = [groups[i] for i in np.linspace(0, len(groups) - 1, min(sample, len(groups))).round().astype(int)]
    pages: list[int] = []
    lengths: list[float] = []
    start, before = time.monotonic(), reader.counts["bytes"]
    for path, group in progress_bar(drawn, desc="sample", unit="row group", shown=progress):
        try:
            file = open_index(reader, path, settings)
            wanted = wanted_rows(file, group, settings)
            with usable():
                column = file.read_row_group(group, ["warc_record_length"])["warc_record_length"]
                length = column.filter(pa.array(wanted)).cast(pa.float64())
        except IndexProblem as error:
            wanted, length, problem = np.zeros(0, bool), pa.chunked_array([[]], pa.float64()), f"{path}: {error}"
        pages.append(int(wanted.sum()))
        lengths.append(float(pc.sum(length).as_py() or 0))
    speed = (reader.counts["bytes"] - before) / max(time.monotonic() - start, 1e-6)
    total, low, high = extrapolate(pages, len(groups))
    page_bytes = fmean(lengths) * len(groups)
    seconds = max((requests + total) / settings.rate, (size + page_bytes) / speed)
    return CrawlCosts(
        len(files), rows, size, requests, total, low, high, page_bytes, total, speed, seconds / 3600, len(groups),
        len(drawn), unread,
    )  # fmt: skip


def _bytes_of(file: pq.ParquetFile, group: int, settings: CrawlSettings) -> int:
    """The packed bytes of the columns of a row group that a selection reads."""
    wanted = columns_read(settings)
    found = file.metadata.row_group(group)
    columns = (found.column(number) for number in range(found.num_columns))
    return sum(column.total_compressed_size for column in columns if column.path_in_schema in wanted)


def extrapolate(pages: Sequence[int], groups: int) -> tuple[float, float, float]:
    """(total, low, high) of all row groups, from the pages of some: a mean with Student's interval, and the correction
    for a finite number of groups (Cochran, Sampling Techniques, 1977, 2.6 and 2.8)."""
    mean, count = fmean(pages), len(pages)
    if count == groups or count < 2:
        return mean * groups, sum(pages) if count < groups else mean * groups, mean * groups
    error = stdev(pages) / math.sqrt(count) * math.sqrt(1 - count / groups)
    margin = student.ppf((1 + _SURE) / 2, count - 1) * error
    return mean * groups, max(sum(pages), (mean - margin) * groups), (mean + margin) * groups


def _size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
