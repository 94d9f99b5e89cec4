"""Choose which pages of the index to fetch: the newest copy of each page, and a limited number of each site."""

import zlib
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mella_hf.know.common_crawl.index import PLACES
from mella_hf.know.common_crawl.settings import CrawlSettings, language_of
from mella_hf.know.records import ROWS, bucket_of, site_of
from mella_hf.stage import DROPPED, Shard, ShardOutput


def pick_bucket(shard: Shard, output: ShardOutput, *, settings: CrawlSettings) -> None:
    """The work of the stage: PLACES of one bucket of sites; their bucket is from here on that of the WARC file.

    Of the pages of a site, those whose main language is asked for come first, then a draw by the URL. Counts, without
    rejects, since they are in the index: `older_copy` and `site_full`; and "labelled_<language>" of what is kept.
    """
    inputs = [path for path, *_ in shard.payload["inputs"]]
    rows = ds.dataset(inputs).to_table(filter=pc.field("bucket") == shard.payload["bucket"]).to_pylist()
    newest: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = newest.get(row["url"])
        if known is None or _age(row) > _age(known):
            newest[row["url"]] = row
    output.counts[f"{DROPPED}older_copy"] += len(rows) - len(newest)
    kept = list(newest.values())
    if settings.pages_per_site:
        kept = _share(kept, settings)
        output.counts[f"{DROPPED}site_full"] += len(newest) - len(kept)
    for row in kept:
        row["bucket"] = bucket_of(row["warc_filename"])
        output.counts.update({f"labelled_{language_of(label)}" for label in row["languages"].split(",")})
    kept.sort(key=place_of)
    output.keep(len(kept))
    pq.write_table(pa.Table.from_pylist(kept, schema=PLACES), output.folder / ROWS, compression="ZSTD")


def _share(rows: list[dict[str, Any]], settings: CrawlSettings) -> list[dict[str, Any]]:
    """At most `pages_per_site` rows of each site."""

    def order(row: dict[str, Any]) -> tuple[bool, int, str]:
        main = language_of(row["languages"].partition(",")[0])
        return main not in settings.languages, zlib.crc32(row["url"].encode()), row["url"]

    taken = Counter[str]()
    kept = []
    for row in sorted(rows, key=order):
        site = site_of(row["url"])
        if taken[site] < settings.pages_per_site:
            taken[site] += 1
            kept.append(row)
    return kept


def _age(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["fetch_time"], *place_of(row)  # the place: two copies of one second must not depend on the order


def place_of(row: dict[str, Any]) -> tuple[str, int]:
    """Where a page lies: WARC file and offset."""
    return row["warc_filename"], row["warc_record_offset"]
