"""The Parquet schemas that the stages of the know line exchange, and the bucket of a URL.

    candidates   one row per <img> of a page                   pages.py    -> filter.py
    alt_texts    one row per kept alt-text, with its language  filter.py   -> requests.py, images.py
    requests     one row per image (or page) to fetch          requests.py -> fetch.py
    fetched      one row per request, with the body            fetch.py    -> images.py (or pages.py)
    samples      the record of `mella_hf.sample` + provenance  images.py   -> the dataset

Every stage runs on `mella_hf.stage.run_stage`; each shard's folder holds one file, `rows.parquet`. Rows that depend on
each other are in one bucket: candidates of a site (what a site repeats is navigation), requests of a host (politeness
is per host). The number of buckets is fixed, so the output does not depend on the number of workers. Opt-outs of a page
(meta robots, X-Robots-Tag) are applied in the alt_texts stage: a forbidden image never becomes a request.
"""

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.sample import SCHEMA

ROWS = "rows.parquet"
BUCKETS = 64
_STRINGS = pa.list_(pa.string())
_MOMENT = pa.timestamp("us", tz="UTC")

CANDIDATES = pa.schema(
    [
        ("page_url", pa.string()),
        ("image_url", pa.string()),  # absolute, http or https, without fragment
        ("alt", pa.string()),  # as written; null without the attribute, "" where it is empty
        ("title", pa.string()),  # of the <img>
        ("figcaption", pa.string()),
        ("heading", pa.string()),  # the nearest before the image
        ("page_title", pa.string()),
        ("page_language", pa.string()),  # BCP 47 as the page declares it: lang of the nearest ancestor, meta, header
        ("declared_width", pa.int32()),  # px
        ("declared_height", pa.int32()),  # px
        ("license_url", pa.string()),  # rel=license or a Creative Commons link
        ("robots", _STRINGS),  # directives of meta robots and X-Robots-Tag, lower case
        ("position", pa.int32()),  # of the <img> in its page, from 0
        ("site", pa.string()),  # host of the page without "www."
        ("bucket", pa.int32()),  # of the site
    ]
)
ALT_TEXTS = pa.schema(
    [
        *(field for field in CANDIDATES if field.name != "bucket"),
        ("text", pa.string()),  # the alt-text, cleaned
        ("language", pa.string()),  # a code of mella_hf.languages
        ("bucket", pa.int32()),  # of the image's host
    ]
)
REQUESTS = pa.schema(
    [
        ("url", pa.string()),  # once in all shards
        ("referrer", pa.string()),  # a page that shows the image; null for pages
    ]
)
FETCHED = pa.schema(
    [
        ("url", pa.string()),  # of the request
        ("final_url", pa.string()),  # after redirects
        ("status", pa.int32()),  # of the last response; null where there was none
        ("reason", pa.string()),  # why there is no body, fit for counting; null where there is one
        ("body", pa.binary()),  # decoded from its Content-Encoding
        ("bytes", pa.int64()),
        ("kind", pa.string()),  # sniffed from the body: "jpeg", "png", "webp", "gif", "html", ...
        ("content_type", pa.string()),  # headers as sent
        ("content_language", pa.string()),
        ("x_robots_tag", pa.string()),
        ("overridden", pa.string()),  # the reservation that was not honoured, as `reserved_noai`; null where none was
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("fetched_at", _MOMENT),
    ]
)
SAMPLES = pa.schema(
    [
        *SCHEMA,
        ("phash", pa.uint64()),
        ("other_texts", _STRINGS),  # native alt-texts of the duplicates that went
        ("nsfw_score", pa.float32()),  # in [0, 1]; null where it was not scored
        ("flags", _STRINGS),  # provenance: what readers should know before they use the row
    ]
)

_WWW = re.compile(r"^www\d?\.")


@lru_cache(maxsize=8192)  # a fetch asks three times for each URL
def host_of(url: str) -> str:
    """The host of a URL in lower case, without port; "" where there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:  # a bracket that opens no IPv6 address
        return ""


def site_of(url: str) -> str:
    """The host without "www.": what counts as one site, and the record's `domain`."""
    return _WWW.sub("", host_of(url))


def bucket_of(host: str) -> int:
    """The bucket of a host or site, the same on every machine: 0 to BUCKETS - 1."""
    return zlib.crc32(host.encode("utf-8", "surrogatepass")) % BUCKETS


def rows_of(outputs: Sequence[Path]) -> list[Path]:
    """The Parquet files of a finished stage's shards, in order."""
    return [folder / ROWS for folder in outputs if (folder / ROWS).exists()]


def file_mark(path: Path) -> list[str | int]:
    """[path, size, modification time in ns]: for a shard's payload, so that it is done again when the file changes."""
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns]


def read_row(path: Path, row: int) -> dict[str, Any]:
    """One row of a Parquet file; reads its row group only."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if row < size:
            return dict(file.read_row_group(group).slice(row, 1).to_pylist()[0])
        row -= size
    raise IndexError(row)
