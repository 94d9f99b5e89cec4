"""Remove samples from a dataset folder and record the request.

Only the shards that hold the samples are rewritten, row group by row group, so the next upload is small.
`removals.jsonl` is published with the dataset, and a later build into the same folder leaves those rows out.
"""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mella_hf.dataset.card import write_card
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.write import languages_in, open_writer, shard_paths
from mella_hf.errors import MellaError
from mella_hf.files import json_lines, write_atomic
from mella_hf.sample import SPLITS

REMOVALS = "removals.jsonl"
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Request:
    """What to take away: samples by id, or all of a domain and its subdomains."""

    ids: frozenset[str] = frozenset()
    domain: str | None = None

    def matches(self, ids: pa.Array, domains: pa.Array) -> pa.Array:
        """Which rows the request is about: [N] booleans, never null."""
        found = pc.is_in(ids, pa.array(sorted(self.ids), pa.string()))
        if self.domain is not None:
            own = pc.equal(domains, self.domain)
            sub = pc.ends_with(domains, f".{self.domain}")
            found = pc.or_(found, pc.fill_null(pc.or_(own, sub), False))
        return found


@dataclass
class RemoveReport:
    """What a removal did.

    Attributes:
        removed: "language/split" -> rows.
        rewritten: the shards that changed.
        not_found: ids of the request that no row has.
    """

    removed: Counter[str] = field(default_factory=Counter)
    rewritten: list[Path] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)


def remove_samples(folder: Path | str, *, ids: Iterable[str] = (), domain: str | None = None) -> RemoveReport:
    """Take samples out of a dataset folder. Killed half-way, the same call finishes the work.

    Raises:
        MellaError: on an id that is not 64 hex digits, a request for nothing, or a folder without a dataset.
    """
    folder = Path(folder)
    request = make_request(ids, domain)
    languages = languages_in(folder)
    if not languages:
        raise MellaError(f"{folder} holds no dataset: found no LANGUAGE/SPLIT-00000-of-0000N.parquet in it.")
    record_request(folder, request)
    report = RemoveReport()
    seen: set[str] = set()
    for language in languages:
        for split in SPLITS:
            paths = shard_paths(folder, language, split)
            for index, path in enumerate(paths):
                gone = _rewrite(path, request)
                if gone:
                    seen |= set(gone)
                    report.removed[f"{language}/{split}"] += len(gone)
                    report.rewritten.append(path)
                    _forget_build(folder, f"{language}-{split}-{index:05d}")
            if paths and not sum(pq.ParquetFile(path).metadata.num_rows for path in paths):
                for path in paths:
                    path.unlink()
    report.not_found = sorted(request.ids - seen)
    if languages_in(folder):
        write_thumbnails(folder)  # they may show what was to go
        write_card(folder)
    return report


def make_request(ids: Iterable[str], domain: str | None) -> Request:
    """A checked request. Raises MellaError."""
    wanted = frozenset(name.strip().lower() for name in ids if name.strip())
    if wrong := sorted(name for name in wanted if not _ID.fullmatch(name)):
        raise MellaError(f"{wrong[0]!r} is not a sample id; ids are the 64 hex digits of the column 'id'.")
    if domain is not None:
        domain = domain.strip().lower().strip(".")
        if not domain or "/" in domain or ":" in domain:
            raise MellaError(f"{domain!r} is not a domain; give a host such as 'example.org', without http://.")
    if not wanted and domain is None:
        raise MellaError("Nothing to remove: give ids or a domain.")
    return Request(wanted, domain)


def record_request(folder: Path, request: Request) -> None:
    """Put a request on record, once."""
    records = read_records(folder)
    record: dict[str, Any] = {"ids": sorted(request.ids)} if request.ids else {}
    record |= {"domain": request.domain} if request.domain else {}
    if record not in [{k: v for k, v in known.items() if k != "requested"} for known in records]:
        records.append({"requested": datetime.now(UTC).date().isoformat(), **record})
    write_atomic(folder / REMOVALS, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))


def read_records(folder: Path | str) -> list[dict[str, Any]]:
    """The requests on record, in order."""
    path = Path(folder) / REMOVALS
    return [record for _, record in json_lines(path)] if path.exists() else []


def _rewrite(path: Path, request: Request) -> list[str]:
    """Write a shard again without the rows of a request; returns their ids. A shard without any stays untouched."""
    parquet = pq.ParquetFile(path)
    named = parquet.read(columns=["id", "domain"])
    mask = request.matches(named["id"].combine_chunks(), named["domain"].combine_chunks())
    gone = named["id"].filter(mask).to_pylist()
    if not gone:
        return []
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    keep, start = pc.invert(mask), 0
    with open_writer(aside) as writer:
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            part = keep.slice(start, rows)
            start += rows
            if pc.any(part).as_py():
                writer.write_table(parquet.read_row_group(group).filter(part), row_group_size=rows)
    os.replace(aside, path)
    return gone


def _forget_build(folder: Path, name: str) -> None:
    """Take away the build's own copy of a shard, which still holds what was removed."""
    work = folder / ".build" / "write"
    for path in [*(work / "done").glob(f"{name}*.json"), *work.glob(f"{name}*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
