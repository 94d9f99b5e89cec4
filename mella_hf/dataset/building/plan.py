"""Second stage of a build: assign every scanned row of a language to a split and a shard.

Only ids, hashes and sizes are read, as arrays: at most about 90 bytes a row.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.dataset.building.scan import COUNTS, ROWS
from mella_hf.dataset.removal.requests import ADDRESSES, RemovalRecord, Request
from mella_hf.images.duplicates import KEPT, SAME_BYTES, SAME_PICTURE, find_duplicates
from mella_hf.sample import SPLITS
from mella_hf.stage import DROPPED, Shard, ShardOutput
from mella_hf.stage import KEPT as KEPT_ROWS

PLAN = "plan.json"
SPLIT, SHARD = "split.npy", "shard.npy"
LEFT_OUT = 255  # the split code of a row that is not written
TEST_SHARE = 5  # a test split takes at most one row in five, so that small data keeps training rows
REMOVED = 3
REASONS = {SAME_BYTES: "duplicate_bytes", SAME_PICTURE: "duplicate_picture", REMOVED: "removed_on_request"}


def plan_language(shard: Shard, output: ShardOutput) -> None:
    """Decide for every scanned row of a language; `shard.payload` has its units, and the settings.

    Writes `split.npy` ([N] uint8, place in SPLITS or LEFT_OUT), `shard.npy` ([N] uint32), both over the
    rows of all units in order, and `plan.json` with the units, the number of shards and the counts.
    """
    settings = shard.payload
    units = settings["units"]
    lengths = [pq.read_metadata(Path(u["folder"]) / ROWS).num_rows for u in units]
    ids = read_ids(units, lengths)
    is_ling = np.repeat([u["source"] == "ling" for u in units], lengths)
    # Arrays go as soon as they have done their part: a language may have a million rows.
    verdict = find_duplicates(ids, read_pictures(units, lengths, ids))
    verdict[removed_rows(ids, units, settings["removals"])] = REMOVED
    split = assign_splits(ids, is_ling, verdict == KEPT, settings["test_size"])
    number, totals = cut_shards(split, read_numbers(units, lengths, "image_bytes", np.int64), settings["shard_bytes"])
    sources = _counts(units, lengths, verdict)
    _reject(units, lengths, verdict, output)
    np.save(output.folder / SPLIT, split)
    np.save(output.folder / SHARD, number)
    plan = {"units": units, "lengths": lengths, "totals": totals, "counts": _total(sources), "sources": sources}
    plan["shards"] = shard_digests(units, lengths, split, number, totals)
    (output.folder / PLAN).write_text(json.dumps(plan), "utf-8")


def read_ids(units: list[dict[str, Any]], lengths: list[int]) -> np.ndarray:
    """sha256 digests over the rows of all units: [N] S32."""
    ids = np.empty(sum(lengths), "S32")
    for rows, table in _columns(units, lengths, "digest"):
        column = table["digest"].chunk(0)
        ids[rows] = np.frombuffer(column.buffers()[1], "S32", len(column), 32 * column.offset)
    return ids


def read_numbers(units: list[dict[str, Any]], lengths: list[int], name: str, dtype: type) -> np.ndarray:
    """A column of numbers over the rows of all units, 0 for null: [N]."""
    numbers: np.ndarray = np.empty(sum(lengths), dtype)
    for rows, table in _columns(units, lengths, name):
        numbers[rows] = table[name].fill_null(0).to_numpy()
    return numbers


def read_pictures(units: list[dict[str, Any]], lengths: list[int], ids: np.ndarray) -> np.ndarray | None:
    """Perceptual hashes over the rows of all units ([N] uint64), or None when no row has one.

    A row that was not decoded gets eight bytes of its sha256 instead, which look like no picture.
    """
    pictures = ids.view(np.uint8).reshape(-1, 32)[:, :8].copy().view(np.uint64).ravel()
    found = False
    for rows, table in _columns(units, lengths, "phash"):
        column = table["phash"].chunk(0)
        known = column.is_valid().to_numpy(zero_copy_only=False)
        pictures[rows][known] = column.drop_null().to_numpy()
        found = found or bool(known.any())
    return pictures if found else None


def shard_digests(
    units: list[dict[str, Any]], lengths: list[int], split: np.ndarray, number: np.ndarray, totals: dict[str, int]
) -> dict[str, list[str]]:
    """By split, what is in each shard: hex digests that change when one of its rows does."""
    hashes = {name: [hashlib.sha256() for _ in range(totals[name])] for name in SPLITS}
    start = 0
    for unit, length in zip(units, lengths, strict=True):
        mine, shard = split[start : start + length], number[start : start + length]
        start += length
        for code, name in enumerate(SPLITS):
            for index in np.unique(shard[mine == code]):
                rows = np.flatnonzero((mine == code) & (shard == index)).astype("<u4")
                hashes[name][index].update(f"{unit['digest']} {unit['source']} ".encode() + rows.tobytes())
    return {name: [one.hexdigest() for one in found] for name, found in hashes.items()}


def _columns(units: list[dict[str, Any]], lengths: list[int], name: str) -> Iterator[tuple[slice, pa.Table]]:
    """(place among all rows, table of one column) of every unit that has rows."""
    start = 0
    for unit, length in zip(units, lengths, strict=True):
        if length:
            table = pq.read_table(Path(unit["folder"]) / ROWS, columns=[name])
            yield slice(start, start + length), table.combine_chunks()
        start += length


def removed_rows(ids: np.ndarray, units: list[dict[str, Any]], removals: list[RemovalRecord]) -> np.ndarray:
    """Which rows somebody asked to take away: [N] bool."""
    request = Request.of(removals)
    removed = np.isin(ids, np.array([bytes.fromhex(name) for name in request.ids], dtype="S32"))
    start = 0
    for unit in units if request.domains or request.urls else ():
        table = pq.read_table(Path(unit["folder"]) / ROWS, columns=list(ADDRESSES))
        removed[start : start + len(table)] |= request.matches(table).to_numpy(zero_copy_only=False)
        start += len(table)
    return removed


def assign_splits(ids: np.ndarray, is_ling: np.ndarray, kept: np.ndarray, test_size: int) -> np.ndarray:
    """The split of each row, as its place in SPLITS or LEFT_OUT: [N] uint8.

    The test splits take the rows whose ids, which are hashes, end in the least numbers. So they do not
    depend on the order, and data that is added moves few of them.
    """
    split = np.where(kept, is_ling.astype(np.uint8), LEFT_OUT).astype(np.uint8)  # SPLITS: know, ling, …
    for train in (0, 1):
        rows = np.flatnonzero(split == train)
        count = min(test_size, len(rows) // TEST_SHARE)
        draw = ids.view(np.uint8).reshape(-1, 32)[rows, -8:].copy().view(">u8").ravel()
        split[rows[np.argsort(draw, kind="stable")[:count]]] = train + 2  # …, know_test, ling_test
    return split


def cut_shards(split: np.ndarray, sizes: np.ndarray, shard_bytes: int) -> tuple[np.ndarray, dict[str, int]]:
    """The number of each row's shard ([N] uint32), and how many shards each split has."""
    number = np.zeros(len(split), dtype=np.uint32)
    totals = {}
    for code, name in enumerate(SPLITS):
        rows = np.flatnonzero(split == code)
        before = np.cumsum(sizes[rows]) - sizes[rows]  # bytes of the split before each row
        number[rows] = before // shard_bytes
        _, number[rows] = np.unique(number[rows], return_inverse=True)  # one huge row may skip a number
        totals[name] = int(number[rows].max()) + 1 if len(rows) else 0
    return number, totals


def _counts(
    units: list[dict[str, Any]], lengths: list[int], verdict: np.ndarray
) -> dict[str, dict[str, dict[str, int]]]:
    """By source name and kind: what the scan counted, with duplicates and removals taken from "kept"."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    start = 0
    for unit, length in zip(units, lengths, strict=True):
        found = json.loads((Path(unit["folder"]) / COUNTS).read_text("utf-8"))["counts"]
        of = counts.setdefault(unit["of"], {}).setdefault(unit["source"], Counter())
        of.update(found)
        codes = np.bincount(verdict[start : start + length], minlength=REMOVED + 1)
        start += length
        for code, reason in REASONS.items():
            of.update({KEPT_ROWS: -int(codes[code]), DROPPED + reason: int(codes[code])})
    return {name: {kind: _sorted(of) for kind, of in sorted(kinds.items())} for name, kinds in counts.items()}


def _total(sources: dict[str, dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """By kind, over all sources."""
    total: dict[str, Counter[str]] = {}
    for kinds in sources.values():
        for kind, of in kinds.items():
            total.setdefault(kind, Counter()).update(of)
    return {kind: _sorted(of) for kind, of in sorted(total.items())}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: n for name, n in sorted(counts.items()) if n or name == KEPT_ROWS}


def _reject(units: list[dict[str, Any]], lengths: list[int], verdict: np.ndarray, output: ShardOutput) -> None:
    ends = np.cumsum(lengths)
    for unit, length, end in zip(units, lengths, ends, strict=True):
        rows = np.flatnonzero(verdict[end - length : end])
        if len(rows):
            where = pq.read_table(Path(unit["folder"]) / ROWS, columns=["where"])["where"].take(rows).to_pylist()
            for place, row in zip(where, rows, strict=True):
                reason = REASONS[int(verdict[end - length + row])]
                output.drop(reason, where=place, source=unit["source"], unit=unit["name"])
