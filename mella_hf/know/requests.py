"""Make requests from URLs of pages or images: each URL once, sorted into buckets by host."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mella_hf.know.records import REQUESTS, ROWS, bucket_of, file_mark, host_of
from mella_hf.stage import Shard, ShardOutput


def page_request_shards(urls: Sequence[str]) -> list[Shard]:
    """One shard for each bucket that the hosts of `urls` fall into."""
    buckets: dict[int, list[str]] = {}
    for url in urls:
        buckets.setdefault(bucket_of(host_of(url)), []).append(url)
    return [Shard(f"{bucket:03d}", {"urls": sorted(members)}) for bucket, members in sorted(buckets.items())]


def bucket_shards(inputs: Sequence[Path]) -> list[Shard]:
    """One shard for each value of the column "bucket"; its payload names the bucket and the input files."""
    if not inputs:
        return []
    table = ds.dataset([str(path) for path in inputs]).to_table(columns=["bucket"])
    marks = [file_mark(path) for path in inputs]
    return [
        Shard(f"{bucket:03d}", {"bucket": bucket, "inputs": marks})
        for bucket in sorted(pc.unique(table["bucket"]).to_pylist())
    ]


def write_requests(shard: Shard, output: ShardOutput) -> None:
    """The work of the stage: REQUESTS of one bucket, ordered by URL."""
    if "urls" in shard.payload:
        found = {url: None for url in shard.payload["urls"]}
    else:
        rows = ds.dataset([path for path, *_ in shard.payload["inputs"]]).to_table(
            columns=["image_url", "page_url"], filter=pc.field("bucket") == shard.payload["bucket"]
        )
        pairs = sorted(zip(rows["image_url"].to_pylist(), rows["page_url"].to_pylist(), strict=True), reverse=True)
        found = dict(sorted(dict(pairs).items()))  # of several pages, the first by name
    output.keep(len(found))
    table = pa.Table.from_arrays([pa.array(found), pa.array(found.values(), pa.string())], schema=REQUESTS)
    pq.write_table(table, output.folder / ROWS, compression="ZSTD")
