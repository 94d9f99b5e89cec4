"""First stage of a build: check the candidates of one unit and store the good rows without their images.

Each image is read, hashed and decoded once. Only its row in `rows.parquet` is kept.
"""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mella_hf.dataset.building.candidate import Found, Lost, Source, Unit, image_size, read_image
from mella_hf.dataset.checks import first_problem, sound_columns, text_problem
from mella_hf.images.opening import Rejected, open_image
from mella_hf.images.phash import phash
from mella_hf.sample import SCHEMA, sha256_hex
from mella_hf.stage import Shard, ShardOutput

ROWS = "rows.parquet"
COUNTS = "counts.json"
_RECORD = [field for field in SCHEMA if field.name not in ("id", "image", "language", "source")]
SCAN_SCHEMA = pa.schema(
    [
        pa.field("where", pa.string()),
        pa.field("locator", pa.string()),
        pa.field("digest", pa.binary(32)),  # sha256 of the image
        pa.field("phash", pa.uint64()),  # null when the build does not verify
        pa.field("image_bytes", pa.int64()),
        *_RECORD,
    ]
)
_CONVERSION = (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError)


def scan_unit(shard: Shard, output: ShardOutput, *, source: Source, verify: bool) -> None:
    """Check every candidate of a unit (`shard.payload` holds its fields) and write those that pass."""
    unit = Unit(shard.name, **shard.payload)
    rows = []
    for found in source.scan(unit):
        if isinstance(found, Lost):
            output.drop(found.reason, where=found.where)
            continue
        try:
            rows.append(examine(found, source, unit, output, verify=verify))
        except Rejected as rejected:
            output.drop(rejected.reason, where=found.where, detail=str(rejected))
    table = to_table(rows, output)
    # Read again twice and never searched: writing it must be cheap, more than it must be small.
    pq.write_table(
        table,
        output.folder / ROWS,
        compression="LZ4",
        row_group_size=2048,
        use_dictionary=False,
        write_statistics=False,
    )
    (output.folder / COUNTS).write_text(json.dumps(output.counts), "utf-8")


def to_table(rows: list[dict[str, Any]], output: ShardOutput) -> pa.Table:
    """Rows as a table; a row with a column that is not of its type is dropped by name."""
    try:
        table = pa.Table.from_pylist(rows, schema=SCAN_SCHEMA)
    except _CONVERSION:
        sound = []
        for row in rows:
            try:
                pa.Table.from_pylist([row], schema=SCAN_SCHEMA)
            except _CONVERSION as error:
                output.drop("column_invalid", where=row["where"], detail=ascii(str(error)))
            else:
                sound.append(row)
        table = pa.Table.from_pylist(sound, schema=SCAN_SCHEMA)
    output.keep(len(table))
    return table


def examine(found: Found, source: Source, unit: Unit, output: ShardOutput, *, verify: bool) -> dict[str, Any]:
    """A candidate as a row of `SCAN_SCHEMA`, columns that are null left out.

    Without `verify`, the source's own id and size are believed, and the image is not read.

    Raises:
        Rejected: with the reason why the candidate must not enter, its text included.
    """
    if (problem := text_problem(found.text)) is not None:
        raise Rejected(problem)
    try:
        columns = sound_columns(found.columns)
    except ValidationError as error:
        raise Rejected("column_invalid", " ".join(first_problem(error))) from error
    row: dict[str, Any] = columns | {"where": found.where, "locator": found.locator, "text": found.text}
    if not verify and found.claimed_id is not None and found.claimed_size is not None:
        size = image_size(source.image(unit, found.locator))
        if not size:
            raise Rejected("image_empty")
        (row["width"], row["height"]), row["image_bytes"] = found.claimed_size, size
        row["digest"] = bytes.fromhex(found.claimed_id)
        return row
    data = read_image(source.image(unit, found.locator))
    name = sha256_hex(data)
    if not data:
        raise Rejected("image_empty")
    if found.claimed_id not in (None, name):
        raise Rejected("id_mismatch", f"the bytes have the sha256 {name}")
    image = open_image(data)
    if found.claimed_size not in (None, image.size):
        output.counts["corrected_size"] += 1  # the row stays, with the size that its bytes have
    row.update(width=image.width, height=image.height, image_bytes=len(data), phash=phash(image))
    row["digest"] = bytes.fromhex(name)
    return row
