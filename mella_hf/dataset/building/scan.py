"""First stage of a build: check the candidates of one unit and store the good rows without their images.

Each image is read, hashed and decoded once. Only its row in `rows.parquet` is kept.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mella_hf.dataset.building.candidate import FileState, Found, Lost, Source, Unit, image_size, read_image
from mella_hf.dataset.building.names import fill_keywords
from mella_hf.dataset.checks import first_problem, sound_columns, text_problem
from mella_hf.images.opening import Rejected, open_image
from mella_hf.images.phash import phash
from mella_hf.metrics.names.finders import RULES
from mella_hf.places import Place, place_of
from mella_hf.sample import SCHEMA, sha256_hex
from mella_hf.stage import Shard, ShardOutput
from mella_hf.text.addresses import host_of

ROWS = "rows.parquet"
COUNTS = "counts.json"
READ = "read.parquet"
AT_ONCE = 16  # images at an address that one worker asks for at the same time
_STATES = pa.schema([("path", pa.binary()), ("size", pa.int64()), ("modified", pa.int64())])
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
_IMAGE = ("digest", "phash", "image_bytes", "width", "height")  # columns that the image gives
_CONVERSION = (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError)


def scan_unit(
    shard: Shard,
    output: ShardOutput,
    *,
    source: Source,
    verify: bool,
    is_held: Callable[[str, str], bool] | None = None,
    ner: str = RULES,
) -> None:
    """Check every candidate of a unit (`shard.payload` holds its fields) and write those that pass.

    Args:
        is_held: whether the dataset has an image of a language, by its id. What was scanned before of an image that is
            gone since, and held, stays. None: nothing of it does.
        ner: what finds the names in alt-texts (`fill_keywords`).
    """
    unit = Unit(shard.name, **shard.payload)
    scanned_before = output.folder.parents[1] / shard.name / ROWS
    before: Images | None = None
    rows: list[dict[str, Any]] = []
    seen: list[FileState] = []
    for found, load in with_images(source, unit, seen, verify=verify):
        if isinstance(found, Lost):
            output.drop(found.reason, where=found.where, **({"detail": found.detail} if found.detail else {}))
            continue
        try:
            rows.append(examine(found, load, output))
        except Rejected as rejected:
            if rejected.reason == "image_missing" and is_held is not None:
                before = images_of(scanned_before, is_verified=verify) if before is None else before
                known = before.get((found.locator, found.text))
                if known is not None and is_held(unit.language, known["digest"].hex()):
                    rows.append(examine(found, lambda: b"", output, known))
                    continue
            output.drop(rejected.reason, where=found.where, detail=str(rejected))
    fill_keywords(rows, unit, output.counts, ner)
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
    write_states(output.folder / READ, seen)
    digest = hashlib.sha256((output.folder / ROWS).read_bytes())
    digest.update(json.dumps([output.counts, output.rejects], sort_keys=True).encode())
    scanned = {"counts": output.counts, "digest": digest.hexdigest()}
    (output.folder / COUNTS).write_text(json.dumps(scanned), "utf-8")


Images = dict[tuple[str, str], dict[str, Any]]  # by locator and text


def images_of(path: Path, *, is_verified: bool) -> Images:
    """What the rows of a scan say of their images; nothing, where there was no scan.

    By the text as well, since a locator may be the number of a row, which means another image when the rows change.

    Args:
        is_verified: only of images that were decoded.
    """
    if not path.exists():
        return {}
    rows = pq.read_table(path, columns=["locator", "text", *_IMAGE]).to_pylist()
    return {(row.pop("locator"), row.pop("text")): row for row in rows if not is_verified or row["phash"] is not None}


def write_states(path: Path, seen: list[FileState]) -> None:
    """Keep how the files were that a unit read, missing ones included."""
    seen = sorted(seen, key=lambda state: state.path)
    columns = {
        "path": [state.path.encode("utf-8", "surrogatepass") for state in seen],
        "size": [state.size for state in seen],
        "modified": [state.modified for state in seen],
    }
    pq.write_table(pa.table(columns, schema=_STATES), path, compression="ZSTD", use_dictionary=False)


def is_current(folder: Path, listed: dict[Place, dict[str, tuple[int, int]]]) -> bool:
    """Whether the files that a unit read, or missed, are as they were.

    A file that is gone since is not a change: its image is in the dataset. A unit that did not record its files is not
    current.

    Args:
        listed: folders at an address are listed once, and kept here: a request for every image would take hours.
    """
    if not (folder / READ).exists():
        return False
    for batch in pq.ParquetFile(folder / READ).iter_batches():
        for path, size, modified in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            before = FileState(path.decode("utf-8", "surrogatepass"), size, modified)
            now = _state_now(before.path, listed)
            if now != before and now.size is not None:
                return False
    return True


def _state_now(path: str, listed: dict[Place, dict[str, tuple[int, int]]]) -> FileState:
    place = place_of(path)
    if place is None:
        return FileState.of(path)
    if place.parent not in listed:
        try:
            listed[place.parent] = place.parent.states()
        except (FileNotFoundError, NotADirectoryError):
            listed[place.parent] = {}
    return FileState(path, *listed[place.parent].get(place.name, (None, None)))


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


Load = Callable[[], bytes | int]  # an image, or, when the source's word is taken for the rest, only its size in bytes


def with_images(
    source: Source, unit: Unit, seen: list[FileState], *, verify: bool
) -> Iterator[tuple[Found | Lost, Load]]:
    """The candidates of a unit in order, each with what loads its image. Images at an address are asked for meanwhile.

    Args:
        seen: the states of the files are put there, in any order.
        verify: read all images. Otherwise the ids and sizes that the source claims are believed.
    """
    waiting: deque[tuple[Found | Lost, Load]] = deque()
    pool = ThreadPoolExecutor(AT_ONCE)
    is_elsewhere = False

    def load(found: Found, image: str | bytes | Place) -> bytes | int:
        is_believed = not verify and found.claimed_id is not None and found.claimed_size is not None
        return image_size(image, seen) if is_believed else read_image(image, seen)

    def begin(found: Found) -> Load:
        nonlocal is_elsewhere
        try:
            image = source.image(unit, found.locator)
        except Rejected as rejected:
            return partial(_refuse, rejected)
        if not isinstance(image, Place):
            return partial(load, found, image)
        is_elsewhere = True
        return pool.submit(load, found, image).result

    try:
        for found in source.scan(unit):
            waiting.append((found, begin(found) if isinstance(found, Found) else bytes))
            while len(waiting) > (AT_ONCE if is_elsewhere else 0):
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(cancel_futures=True)


def _refuse(rejected: Rejected) -> bytes:
    raise rejected


def examine(found: Found, load: Load, output: ShardOutput, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """A candidate as a row of `SCAN_SCHEMA`, columns that are null left out.

    Args:
        known: what an earlier scan found of its image, which is not loaded then.

    Raises:
        Rejected: with the reason why the candidate must not enter, its text included.
    """
    problem = text_problem(found.text)
    if problem is not None:
        raise Rejected(problem, ascii(found.text[:60]))
    try:
        columns = sound_columns({name: value for name, value in found.columns.items() if value != ""})
    except ValidationError as error:
        raise Rejected("column_invalid", " ".join(first_problem(error))) from error
    hosts = (host_of(columns.get(name)) for name in ("page_url", "image_url"))
    columns["domain"] = columns.get("domain") or next(filter(None, hosts), None)  # by which an owner asks it away
    for name in found.corrected:
        output.counts[f"corrected_{name}"] += 1
    row: dict[str, Any] = columns | {"where": found.where, "locator": found.locator, "text": found.text}
    if known is not None:
        return row | known
    data = load()
    if not data:
        raise Rejected("image_empty")
    if isinstance(data, int):
        (row["width"], row["height"]), row["image_bytes"] = found.claimed_size or (0, 0), data
        row["digest"] = bytes.fromhex(found.claimed_id or "")
        return row
    name = sha256_hex(data)
    if found.claimed_id not in (None, name):
        raise Rejected("id_mismatch", f"the bytes have the sha256 {name}")
    image = open_image(data)
    if found.claimed_size not in (None, image.size):
        output.counts["corrected_size"] += 1  # the row stays, with the size that its bytes have
    row.update(width=image.width, height=image.height, image_bytes=len(data), phash=phash(image))
    row["digest"] = bytes.fromhex(name)
    return row
