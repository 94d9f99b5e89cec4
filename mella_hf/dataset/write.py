"""Write records as `{language}/{split}-*.parquet`, the published layout; every row is checked.

The layout suits the Hub's content-addressed storage and random access. Images are plain, uncompressed bytes: with
dictionaries or compression, removing 1% of the rows makes the Hub store nine tenths of a file again. A row group holds
about 256 rows: 2.5 ms for a random row, against 75 ms at 4,000. The same rows always give the same bytes, however they
were batched.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.dataset.checks import bad_record, check_sample
from mella_hf.errors import MellaError
from mella_hf.files import name_problems, same_name
from mella_hf.sample import SCHEMA, SPLITS, iso_time

ROW_GROUP_ROWS = 256
ROW_GROUP_BYTES = 64 << 20  # of image bytes; keeps memory flat where images are large
SHARD_BYTES = 400 << 20  # of image bytes; the Hub advises files under 500 MB for its viewer

# Columns that repeat a few values; a dictionary keeps them small. Never the image.
_DICTIONARY = ["language", "source", "domain", "captioner", "translator", "qe_model", "review", "license"]
_DICTIONARY += ["relevance_model", "keywords_by"]
_IMAGE_LEAF = "image.bytes"
_SHARD_NAME = re.compile(r"(?P<split>[a-z_]+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.parquet")


@dataclass(frozen=True)
class WrittenSplit:
    """What `write_split` wrote.

    Attributes:
        paths: the shards, in order.
        rows, image_bytes: totals over the shards.
    """

    language: str
    split: str
    paths: tuple[Path, ...]
    rows: int
    image_bytes: int


def write_split(
    rows: Iterable[Mapping[str, Any]],
    folder: Path | str,
    language: str,
    split: str,
    *,
    shard_bytes: int = SHARD_BYTES,
    verify_ids: bool = True,
) -> WrittenSplit:
    """Write the records of one split as `{folder}/{language}/{split}-00000-of-0000N.parquet`.

    The shards are written aside and take their names together at the end; an older version of the
    split, with however many shards, is gone after that. A split without records is written as no file.

    Args:
        rows: records as `mella_hf.sample.make_sample` makes them; read once, never held together.
        shard_bytes: a shard is closed when its images reach this many bytes.
        verify_ids: check each `id` against the image; costs a sha256 per image (1.8 GB/s).

    Raises:
        SampleError: on the first record that does not fit; nothing of the split is written then.
        MellaError: on an unknown split, or a language that cannot name a folder everywhere.
    """
    if split not in SPLITS:
        raise MellaError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")
    require_safe_languages(Path(folder), [language])
    home = Path(folder) / language
    aside = home / f".{split}.{os.getpid()}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        checked = _checked(rows, language, split, verify_ids)
        written, count, size = write_shards(checked, aside, shard_bytes=shard_bytes)
        paths = _publish(written, home, split)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(OSError):  # a language without any split needs no folder
            home.rmdir()
    return WrittenSplit(language, split, tuple(paths), count, size)


def write_shards(
    rows: Iterable[Mapping[str, Any]], folder: Path, *, shard_bytes: int = SHARD_BYTES
) -> tuple[list[Path], int, int]:
    """Write records that were checked to numbered files in a folder; returns (files, rows, image bytes)."""
    files: list[Path] = []
    writer: pq.ParquetWriter | None = None
    total = size = shard_size = 0
    for batch, batch_bytes in _row_groups(rows):
        if writer is None or shard_size >= shard_bytes:
            if writer is not None:
                writer.close()
            files.append(folder / f"{len(files):05d}.parquet")
            writer, shard_size = open_writer(files[-1]), 0
        writer.write_batch(to_batch(batch), row_group_size=len(batch))
        total += len(batch)
        size += batch_bytes
        shard_size += batch_bytes
    if writer is not None:
        writer.close()
    return files, total, size


def open_writer(path: Path) -> pq.ParquetWriter:
    """A ParquetWriter with the published layout's settings. Write whole row groups to it."""
    leaves = [_leaf(field) for field in SCHEMA]
    return pq.ParquetWriter(
        path,
        SCHEMA,
        compression={leaf: "NONE" if leaf == _IMAGE_LEAF else "ZSTD" for leaf in leaves},
        use_dictionary=_DICTIONARY,
        column_encoding={_IMAGE_LEAF: "PLAIN"},
        write_statistics=[leaf for leaf in leaves if leaf != _IMAGE_LEAF],
        write_page_index=True,
    )


def to_batch(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Records as one RecordBatch. Raises SampleError naming the record and column that do not convert."""
    rows = [_with_time(row) for row in rows]
    try:
        return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        for row in rows:
            for field in SCHEMA:
                try:
                    pa.array([row[field.name]], type=field.type)
                except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError) as error:
                    raise bad_record(row, field.name, f"is not {field.type}: {error}") from error
        raise


def _with_time(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record with its time in the one form of `iso_time`, whatever form it had."""
    time = row["collected_at"]
    if time is None:
        return row
    try:
        return {**row, "collected_at": iso_time(datetime.fromisoformat(time) if isinstance(time, str) else time)}
    except (AttributeError, ValueError) as error:
        raise bad_record(row, "collected_at", f"is not a time: {error}") from error


def shard_name(split: str, index: int, total: int) -> str:
    """The file name of a shard."""
    return f"{split}-{index:05d}-of-{total:05d}.parquet"


def shard_paths(folder: Path | str, language: str, split: str) -> list[Path]:
    """The shards of a split, in order; none when the split is absent. Raises MellaError when one is missing."""
    found = {}
    for path in sorted((Path(folder) / language).glob(f"{split}-*.parquet")):
        match = _SHARD_NAME.fullmatch(path.name)
        if match is not None and match["split"] == split:
            found[int(match["index"])] = (path, int(match["total"]))
    totals = {total for _, total in found.values()}
    if found and (len(totals) > 1 or set(found) != set(range(totals.pop()))):
        raise MellaError(
            f"{Path(folder) / language} holds an incomplete set of {split!r} shards "
            f"({', '.join(path.name for path, _ in found.values())}); write the split again."
        )
    return [found[index][0] for index in sorted(found)]


def languages_in(folder: Path | str) -> list[str]:
    """The languages of a dataset folder: its subfolders that hold a split, in alphabetical order."""
    root = Path(folder)
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if p.is_dir() and any(shard_paths(root, p.name, s) for s in SPLITS))


def all_shards(folder: Path | str, splits: Sequence[str] = SPLITS) -> list[Path]:
    """The shards of a dataset folder, language by language and split by split. Raises MellaError as `shard_paths`."""
    found = []
    for language in languages_in(folder):
        for split in splits:
            found += shard_paths(folder, language, split)
    return found


def require_safe_languages(folder: Path, languages: Sequence[str]) -> None:
    """Raise MellaError when languages cannot name folders beside each other, and beside those of `folder`, everywhere.

    On Windows, `con` (Cofán) is a device, and `zh-Hans` and `zh-hans` are one folder.
    """
    for language in languages:
        if "/" in language:
            raise MellaError(f"The language {language!r} cannot name a folder; leave '/' out.")
    mine = {same_name(language) for language in languages}
    there = [path.name for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
    problems = name_problems([*(name for name in there if same_name(name) in mine), *languages])
    if problems:
        raise MellaError(f"A language names a folder, and {problems[0]}.")


def _checked(
    rows: Iterable[Mapping[str, Any]], language: str, split: str, verify_ids: bool
) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        check_sample(row, language, split, verify_id=verify_ids)
        yield row


def _row_groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[list[Mapping[str, Any]], int]]:
    group: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row["image"]["bytes"])
        if len(group) == ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size


def _publish(written: Sequence[Path], home: Path, split: str) -> list[Path]:
    """Give finished shards their names. Shards of an older version go last, so no reader finds none."""
    final = [home / shard_name(split, i, len(written)) for i in range(len(written))]
    for source, target in zip(written, final, strict=True):
        os.replace(source, target)
    for path in home.glob(f"{split}-*.parquet"):
        match = _SHARD_NAME.fullmatch(path.name)
        if path not in final and match is not None and match["split"] == split:
            path.unlink()
    return final


def _leaf(field: pa.Field) -> str:
    """The Parquet path of a column's leaf that is not an image's path."""
    if field.name == "image":
        return _IMAGE_LEAF
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
