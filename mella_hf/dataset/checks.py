"""Check a record: raise an error, or return a reason that can be counted."""

from collections.abc import Mapping
from typing import Any

from mella_hf.errors import SampleError
from mella_hf.sample import COLUMNS, REVIEWS, sha256_hex

_TEXT_BYTES = 1 << 20  # a text longer than 1 MiB is a broken page, not an answer
_KEYS = frozenset(COLUMNS)


def check_sample(row: Mapping[str, Any], language: str, split: str, *, verify_id: bool = True) -> None:
    """Raise SampleError, naming the column and the value, unless a record may be written.

    Args:
        verify_id: also compute the sha256 of the image and compare it with `id`.
    """
    if row.keys() != _KEYS:
        missing, unknown = sorted(_KEYS - row.keys()), sorted(row.keys() - _KEYS)
        raise SampleError(f"A record has the columns of mella_hf.sample; missing {missing}, unknown {unknown}.")
    image = row["image"]
    if not isinstance(image, Mapping) or not isinstance(image.get("bytes"), bytes) or not image["bytes"]:
        raise bad_record(row, "image", "has no bytes; a record carries the encoded image itself, never a path or a URL")
    if image.get("path") is not None:
        raise bad_record(row, "image", f"carries the path {image['path']!r}, which readers would open; set it to None")
    if verify_id and row["id"] != sha256_hex(image["bytes"]):
        raise bad_record(
            row, "id", "is not the sha256 of the image bytes; make records with mella_hf.sample.make_sample"
        )
    if row["language"] != language:
        raise bad_record(row, "language", f"is {row['language']!r} in a shard of {language!r}")
    if row["source"] != split.removesuffix("_test"):
        raise bad_record(row, "source", f"is {row['source']!r} in the split {split!r}")
    if (problem := column_problem(row)) is not None:
        raise bad_record(row, *problem)
    for side in ("width", "height"):
        if not isinstance(row[side], int) or row[side] <= 0:
            raise bad_record(row, side, f"is {row[side]!r}; give pixels, as the image decodes")
    if (reason := text_problem(row["text"])) is not None:
        raise bad_record(row, "text", f"is unfit ({reason}); drop or clean the sample, with that reason")


def column_problem(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """(column, what is wrong) of a value that its type allows and its meaning does not, or None. No value is null."""
    if row.get("review") not in REVIEWS:
        return "review", f"is {row['review']!r}; choose 'accepted', 'edited' or None"
    for name in ("category", "keywords"):
        if isinstance(row.get(name), str):  # Arrow would take its letters for a list
            return name, f"is not list: {row[name]!r}"
    score = row.get("qe_score")
    if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
        return "qe_score", f"is {score!r}; a quality estimate lies in [0, 1]"
    return None


def text_problem(text: Any) -> str | None:
    """Why a text must not be written, as a drop reason, or None. Bidi controls are left: they can be right."""
    if not isinstance(text, str) or not text.strip():
        return "text_missing"
    if "\0" in text:
        return "text_nul"
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return "text_lone_surrogate"
    return "text_too_long" if size > _TEXT_BYTES else None


def bad_record(row: Mapping[str, Any], column: str, problem: str) -> SampleError:
    """The error that names a record, its column and what is wrong with it."""
    return SampleError(f"Record {str(row.get('id'))[:12]!r}, column {column!r}: {problem}.")
