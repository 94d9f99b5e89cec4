"""Read the rows of one planned shard as record batches; each batch becomes a row group with its images.

The rows were checked when they were scanned and stay in Arrow columns. Only the images pass through Python.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.dataset.building.candidate import Unit, read_into
from mella_hf.dataset.building.plan import PLAN, SHARD, SPLIT
from mella_hf.dataset.building.scan import AT_ONCE, ROWS
from mella_hf.dataset.write import ROW_GROUP_BYTES, ROW_GROUP_ROWS
from mella_hf.errors import MellaError
from mella_hf.images.opening import Rejected
from mella_hf.places import Place
from mella_hf.sample import COLUMNS, SCHEMA, SPLITS, as_record, sha256_hex

FindImage = Callable[[Unit, str, str], str | bytes | Place]
_READ = ["locator", "digest", "image_bytes"]
_READ += [name for name in COLUMNS if name not in ("id", "image", "language", "source")]


def planned_batches(
    plan: Path,
    language: str,
    split: str,
    index: int,
    image: FindImage,
    held_image: Callable[[str], bytes],
    *,
    verify: bool,
) -> Iterator[pa.RecordBatch]:
    """The records that the plan puts into one shard, in order, in row groups of the published layout.

    A batch holds until the next one is asked for: their images share one buffer, since memory that is fresh for every
    row group costs as much as reading the files. The buffer has a byte to spare, to see an image that has grown.

    Args:
        plan: the folder of the language's plan.
        image: finds the encoded image of a row of a unit by its locator, or by its id.
        held_image: the same by its id, among what was built before; for one that is gone from its address.
        verify: compare the sha256 of each image with the one that was scanned.

    Raises:
        MellaError: an image is not what it was when it was scanned.
        Rejected: an image is gone.
    """
    held: list[tuple[Unit, pa.Table]] = []
    count = size = 0
    space = pa.allocate_buffer(0)
    for unit, rows in planned_rows(plan, language, split, index):
        start = 0
        for end, image_bytes in enumerate(rows["image_bytes"].to_pylist(), 1):
            count, size = count + 1, size + image_bytes
            if count == ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
                space = space if space.size > size else pa.allocate_buffer(size + 1)
                yield to_records([*held, (unit, rows.slice(start, end - start))], image, held_image, verify, space)
                held, count, size, start = [], 0, 0, end
        held.append((unit, rows.slice(start)))
    if count:
        space = space if space.size > size else pa.allocate_buffer(size + 1)
        yield to_records(held, image, held_image, verify, space)


def planned_rows(plan: Path, language: str, split: str, index: int) -> Iterator[tuple[Unit, pa.Table]]:
    """By unit, the scanned rows of one shard: the record without id and image, and what `_READ` adds."""
    units = json.loads((plan / PLAN).read_text("utf-8"))
    ends = np.cumsum(units["lengths"])
    chosen = np.flatnonzero((np.load(plan / SPLIT) == SPLITS.index(split)) & (np.load(plan / SHARD) == index))
    unit_of = np.searchsorted(ends, chosen, side="right")
    for number in np.unique(unit_of):
        about = units["units"][number]
        unit = Unit(about["name"], language, about["source"], about["payload"])
        local = chosen[unit_of == number] - (ends[number] - units["lengths"][number])
        scanned = pq.ParquetFile(plan.parents[1] / "scan" / about["name"] / ROWS)
        # An earlier version, which may have scanned the source, had fewer columns; those are passed over.
        rows = as_record(scanned.read(columns=_READ).take(local))
        for name, value in (("language", language), ("source", unit.source)):
            rows = rows.append_column(name, pa.repeat(pa.scalar(value), len(rows)))
        yield unit, rows


def to_records(
    held: list[tuple[Unit, pa.Table]],
    image: FindImage,
    held_image: Callable[[str], bytes],
    verify: bool,
    space: pa.Buffer,
) -> pa.RecordBatch:
    """Scanned rows as one batch of the record's schema, their images read into `space`, which has room to spare."""
    rows = pa.concat_tables([rows for _, rows in held]).combine_chunks()
    ends = np.concatenate([[0], np.cumsum(rows["image_bytes"].to_numpy())]).astype(np.int32)  # [N + 1]
    bounds = ends.tolist()
    view, data = memoryview(space).cast("B"), space.slice(0, bounds[-1])
    ids = [digest.hex() for digest in rows["digest"].to_pylist()]
    places = ((unit, locator) for unit, part in held for locator in part["locator"].to_pylist())

    def require_same(size: int, name: str, locator: str, start: int, end: int) -> None:
        if size != end - start or (verify and sha256_hex(view[start:end]) != name):
            raise MellaError(f"The image {name[:12]} ({locator}) changed during the build. Run it again.")

    pool = ThreadPoolExecutor(AT_ONCE)  # its threads start when there is something at an address
    try:
        fetched: list[tuple[Future[int], str, str, int, int]] = []
        for name, (unit, locator), start, end in zip(ids, places, bounds, bounds[1:], strict=False):
            found = image(unit, locator, name)
            if isinstance(found, Place):
                future = pool.submit(read_into, found, view[start : end + 1])
                fetched.append((future, name, locator, start, end))
            else:
                require_same(read_into(found, view[start : end + 1]), name, locator, start, end)
        for future, name, locator, start, end in fetched:
            try:
                size = future.result()
            except Rejected:
                size = read_into(held_image(name), view[start : end + 1])
            require_same(size, name, locator, start, end)
    finally:
        pool.shutdown(cancel_futures=True)
    images = pa.Array.from_buffers(pa.binary(), len(ids), [None, pa.py_buffer(ends), data])
    columns = {
        "id": pa.array(ids, pa.string()),
        "image": pa.StructArray.from_arrays([images, pa.nulls(len(ids), pa.string())], ["bytes", "path"]),
    }
    return pa.record_batch(
        [columns[name] if name in columns else rows[name].chunk(0) for name in COLUMNS], schema=SCHEMA
    )
