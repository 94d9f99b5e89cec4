"""Use a collected dataset as a folder to describe: its images, and what their pages say about them.

`mella collect` keeps the page's title and the heading nearest to an image in its work files (`.collect/alt_texts`), not
in the dataset, whose columns are fixed. Without those files the alt-text alone is the claim.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mella_hf.dataset.building.candidate import METADATA
from mella_hf.files import write_atomic

WORK = ".collect/alt_texts"  # of a collection
_COLUMNS = ("id", "image", "text", "page_url", "image_url", "domain", "category", "entity", "keywords", "license")
_PAGE = ("page_url", "image_url", "page_title", "heading")
_BATCH = 64
_KINDS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif"}  # by the first bytes


def is_collected(folder: Path, language: str) -> bool:
    """Whether a folder is a dataset with native alt-texts in a language, rather than a folder of images."""
    return not (folder / METADATA).exists() and bool(_shards(folder, language))


def unpack(dataset: Path, language: str, out: Path) -> Path:
    """Write the training images of `know` as files, with a metadata.jsonl; returns the folder.

    Images of the test split stay out: they must not be trained on. Files that are there already stay as they are.
    """
    folder = out / language
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in _rows(dataset, language):
        data = row.pop("image")["bytes"]
        kind = next((suffix for start, suffix in _KINDS.items() if data.startswith(start)), ".jpg")
        path = folder / f"{row.pop('id')}{kind}"
        if not (path.exists() and path.stat().st_size == len(data)):
            write_atomic(path, data)
        rows.append({"file_name": path.name, "alt_text": row.pop("text"), "language": language, **row})
    pages = _pages(dataset, {(row["page_url"], row["image_url"]) for row in rows})
    for row in rows:
        row.update(pages.get((row["page_url"], row["image_url"]), {}))
    write_atomic(folder / METADATA, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return folder


def _shards(dataset: Path, language: str) -> list[Path]:
    return sorted((dataset / language).glob("know-*.parquet"))


def _rows(dataset: Path, language: str) -> Iterator[dict[str, Any]]:
    for path in _shards(dataset, language):
        for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=list(_COLUMNS)):
            yield from batch.to_pylist()


def _pages(dataset: Path, wanted: set[tuple[Any, Any]]) -> dict[tuple[Any, Any], dict[str, str]]:
    """Title and heading by (page, image), as far as the work files of the collection are there."""
    found: dict[tuple[Any, Any], dict[str, str]] = {}
    for path in sorted((dataset / WORK).glob("*/rows.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(4096, columns=list(_PAGE)):
            for row in batch.to_pylist():
                key = row.pop("page_url"), row.pop("image_url")
                if key in wanted:
                    found[key] = {name: value for name, value in row.items() if value}
    return found
