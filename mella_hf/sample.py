"""The record: its columns, their types and the names of the splits.

Every split of every config has the same columns. An image is stored as encoded bytes, never as a path: `datasets` opens
any local file that a path names when it decodes the row, and a push to the Hub would embed that file.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mella_hf.errors import SampleError

if TYPE_CHECKING:
    from datasets import Features

SOURCES = ("know", "ling")
SPLITS = ("know", "ling", "know_test", "ling_test")

_IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
_STRINGS = pa.list_(pa.string())

_FIELDS: dict[str, pa.DataType] = {
    "id": pa.string(),  # sha256 hex of the image bytes
    "image": _IMAGE,
    "text": pa.string(),  # what the model should say
    "language": pa.string(),
    "source": pa.string(),  # know | ling
    "width": pa.int32(),  # px
    "height": pa.int32(),  # px
    "page_url": pa.string(),
    "image_url": pa.string(),
    "domain": pa.string(),
    "category": _STRINGS,
    "entity": pa.string(),  # what the image shows, as the source names it; null where it does not
    "keywords": _STRINGS,  # know
    "caption_en": pa.string(),  # ling, as are the columns up to review
    "captioner": pa.string(),
    "translator": pa.string(),
    "qe_score": pa.float32(),  # in [0, 1]
    "qe_model": pa.string(),
    "review": pa.string(),  # accepted | edited | null
    "license": pa.string(),
    # ISO 8601 in UTC, such as 2026-01-02T03:04:05Z; text, since no tensor holds a time (with_format("torch"))
    "collected_at": pa.string(),
    # How surely the text belongs to the image, in [0, 1]: the share of re-paired images and texts of the language that
    # the encoder finds less alike; null where nobody measured it.
    "relevance": pa.float32(),
    "relevance_model": pa.string(),
    # What found the keywords, such as "rules-0.1.0"; null where the source gave them, or nothing looked.
    "keywords_by": pa.string(),
}
COLUMNS = tuple(_FIELDS)
_LATER = ("relevance", "relevance_model", "keywords_by")  # columns that datasets of earlier versions do not have


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """The JSON form of a column's feature, as `datasets.Features.to_dict` writes it."""
    if kind == _IMAGE:
        return {"_type": "Image"}
    if kind == _STRINGS:
        # "Sequence" is read by every datasets from 2.21 on; "List" only since 4.0.
        return {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}
    return {"dtype": str(kind), "_type": "Value"}


FEATURES_DICT = {name: _feature(kind) for name, kind in _FIELDS.items()}
SCHEMA = pa.schema(
    list(_FIELDS.items()),
    # datasets reads its feature types from here: a plain load_dataset("parquet") decodes the images.
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES_DICT}})},
)


def features() -> "Features":
    """The record as `datasets.Features`."""
    from datasets import Features

    return Features.from_dict(FEATURES_DICT)


def sha256_hex(data: bytes | memoryview) -> str:
    """The id of an image: sha256 of its encoded bytes, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def make_sample(
    *, image: bytes, text: str, language: str, source: str, width: int, height: int, **columns: Any
) -> dict[str, Any]:
    """Make a record from image bytes and the known columns; the others are null.

    Args:
        image: encoded image bytes (JPEG, PNG, WebP).
        width: pixels of the decoded image.
        height: pixels of the decoded image.
        columns: any other column of `COLUMNS` except `id`, which is computed; `collected_at` may be a `datetime`.

    Raises:
        SampleError: for an unknown column, an unknown source, or an empty image or text.
    """
    unknown = sorted(set(columns) - (set(COLUMNS) - {"id"}))
    if unknown:
        raise SampleError(f"Unknown column {unknown[0]!r}; choose among {', '.join(COLUMNS)}.")
    if source not in SOURCES:
        raise SampleError(f"Unknown source {source!r}; choose 'know' or 'ling'.")
    if not image:
        raise SampleError("The image has no bytes; a record carries the encoded image, never a path.")
    if not text.strip():
        raise SampleError("The text is empty; drop the sample with a reason instead.")
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    if isinstance(columns.get("collected_at"), datetime):
        columns["collected_at"] = iso_time(columns["collected_at"])
    row.update(columns, id=sha256_hex(image), image={"bytes": image, "path": None}, text=text)
    row.update(language=language, source=source, width=width, height=height)
    return row


def iso_time(moment: datetime) -> str:
    """A moment as the record stores it, such as 2026-01-02T03:04:05Z. One without a time zone is in UTC already.

    Raises:
        ValueError: in UTC, its year would be 0 or 10000.
    """
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{moment} has no year in UTC") from error
    return moment.isoformat().replace("+00:00", "Z")


def as_record(rows: Any) -> Any:
    """A table or batch of an earlier version as the record has it now: times as text, later columns as nulls."""
    for name in _LATER:
        if name not in rows.schema.names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, _FIELDS[name]))
    at = rows.schema.get_field_index("collected_at")
    if at < 0 or not pa.types.is_timestamp(rows.schema.field(at).type):
        return rows
    text = pc.strftime(rows.column(at), format="%Y-%m-%dT%H:%M:%SZ")
    return rows.set_column(at, "collected_at", pc.replace_substring_regex(text, r"\.0+Z$", "Z"))


def utc(year: int, month: int, day: int) -> str:
    """A collection date as the record stores it."""
    return iso_time(datetime(year, month, day, tzinfo=UTC))
