"""Divide the user's input (WARC files, saved pages, fetched pages) into shards and read their pages.

A shard is a WARC file, some hundred pages of a folder, or a file of fetched pages. Its payload contains sizes and
times, so a changed file is read again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.errors import MellaError
from mella_hf.know.links import absolute_url
from mella_hf.know.pages.bodies import MAX_PAGE_BYTES
from mella_hf.know.pages.extract import page_candidates
from mella_hf.know.pages.warc import LostPage, Page, read_warc
from mella_hf.know.records import CANDIDATES, ROWS, file_mark
from mella_hf.know.rows import RowFailed, one_row
from mella_hf.stage import Shard, ShardOutput

PAGE_SUFFIXES = {".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml"}
FOLDER_PAGES = 500  # a shard
_ROW_GROUP = 4096
_AHEAD_BYTES = 4 << 20


def warc_shards(paths: Sequence[Path | str]) -> list[Shard]:
    """One shard a file. Raises MellaError for a file that is not there, or is given twice."""
    found = [Path(path).resolve() for path in paths]
    missing = [path for path in found if not path.is_file()]
    if missing:
        raise MellaError(f"There is no WARC file {missing[0]}; give paths of .warc or .arc files, plain or compressed.")
    twice = [path for path, count in Counter(found).items() if count > 1]
    if twice:
        raise MellaError(f"The WARC file {twice[0]} is given twice; give each once.")
    return [
        Shard(f"{number:05d}-{path.name}", {"kind": "warc", "path": file_mark(path)})
        for number, path in enumerate(found)
    ]


def folder_shards(root: Path | str, base_url: str) -> list[Shard]:
    """The pages under a folder, by name. `base_url` is the folder's place on the web.

    Raises:
        MellaError: no pages there, or a base that is not an http URL.
    """
    root = Path(root).resolve()
    if not root.is_dir():
        raise MellaError(f"There is no folder {root}; give one that holds saved pages.")
    base, reason = absolute_url("http://none.invalid/", base_url.rstrip("/") + "/")
    if base is None or not base_url.startswith(("http://", "https://")):
        raise MellaError(f"The base URL {base_url!r} is not an http or https URL ({reason or 'no scheme'}); give the "
                         "one that the folder has on the web, such as https://example.org/manual/.")  # fmt: skip
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*")
                   if path.suffix.lower() in PAGE_SUFFIXES and path.is_file())  # fmt: skip
    if not names:
        raise MellaError(f"{root} holds no pages; saved pages end in {', '.join(PAGE_SUFFIXES)}.")
    return [
        Shard(f"{start // FOLDER_PAGES:05d}", {"kind": "folder", "root": str(root), "base": base,
              "files": [[name, *file_mark(root / name)[1:]] for name in names[start : start + FOLDER_PAGES]]})
        for start in range(0, len(names), FOLDER_PAGES)
    ]  # fmt: skip


def fetched_shards(paths: Sequence[Path]) -> list[Shard]:
    """One shard for each file of FETCHED pages."""
    return [Shard(path.parent.name, {"kind": "fetched", "path": file_mark(path)}) for path in paths]


def read_url_list(path: Path | str) -> list[str]:
    """The URLs of a text file, one a line, each once, in order; blank lines and lines that begin with # are skipped.

    Raises:
        MellaError: the file is absent, empty, or a line is not an http URL.
    """
    path = Path(path)
    if not path.is_file():
        raise MellaError(f"There is no list of URLs {path}; give a text file with one URL a line.")
    urls: dict[str, None] = {}
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        url, reason = absolute_url("", line.strip())
        if url is None:
            raise MellaError(f"{path}, line {number}: {line.strip()!r} is not an http or https URL ({reason}).")
        urls[url] = None
    if not urls:
        raise MellaError(f"{path} holds no URL; give one a line.")
    return list(urls)


def extract_shard(shard: Shard, output: ShardOutput) -> None:
    """The work of the first stage: the candidates of a shard's pages, ordered by bucket, as `rows.parquet`.

    Counts "pages", "images", "kept" candidates, and what went: pages and damage by name in the rejects; images
    without an alt-text, of which there are too many to list, as numbers alone.
    """
    rows = []
    for page in _ahead(_pages(shard.payload)):
        if isinstance(page, LostPage):
            output.drop(page.reason, where=page.where)
            continue
        counts = Counter[str]()
        try:
            with one_row("page"):
                found = page_candidates(page, counts)
        except RowFailed as error:
            output.drop(error.reason, where=page.url, detail=error.detail)
            continue
        output.counts["pages"] += 1
        output.counts.update(counts)
        rows += found
    output.keep(len(rows))
    rows.sort(key=lambda row: row.bucket)
    columns = zip(*rows, strict=True) if rows else [[] for _ in CANDIDATES]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CANDIDATES, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=CANDIDATES)
    pq.write_table(table, output.folder / ROWS, compression="ZSTD", row_group_size=_ROW_GROUP)


def _ahead(pages: Iterator[Page | LostPage]) -> Iterator[Page | LostPage]:
    """The same, read some megabytes ahead: a sixth less CPU than reading and parsing by turns, which would each find
    the processor's caches full of the other's code."""
    batch: list[Page | LostPage] = []
    size = 0
    for page in pages:
        batch.append(page)
        size += len(page.body) if isinstance(page, Page) else 0
        if size >= _AHEAD_BYTES:
            yield from batch
            batch, size = [], 0
    yield from batch


def _pages(payload: dict[str, Any]) -> Iterator[Page | LostPage]:
    if payload["kind"] == "warc":
        yield from read_warc(payload["path"][0])
    elif payload["kind"] == "folder":
        yield from _saved_pages(payload)
    else:
        yield from _fetched_pages(payload["path"][0])


def _saved_pages(payload: dict[str, Any]) -> Iterator[Page | LostPage]:
    for name, size, _ in payload["files"]:
        path = Path(payload["root"]) / name
        if size > MAX_PAGE_BYTES:
            yield LostPage(str(path), "page_too_large")
            continue
        yield Page(payload["base"] + quote(name), path.read_bytes(), PAGE_SUFFIXES[path.suffix.lower()])


def _fetched_pages(path: str) -> Iterator[Page]:
    """Pages as the fetch stage left them; what it could not fetch is counted there."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=64):
        for row in batch.to_pylist():
            if row["body"] is not None:
                robots = tuple((row["x_robots_tag"] or "").split("\n"))
                url = row["final_url"] or row["url"]
                yield Page(url, row["body"], row["content_type"], row["content_language"], robots)
