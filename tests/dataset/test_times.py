"""Datasets of earlier versions: `collected_at` was a timestamp, and some columns were not there."""

import json
import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_samples import picture, record
from datasets import load_dataset
from image_folders import rows, write_folder

import mella_hf  # noqa: F401  (registers "mella")
from mella_hf.dataset.building.build import build_dataset
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.card.facts import split_facts
from mella_hf.dataset.removal.remove import remove_samples
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import shard_paths, write_split
from mella_hf.errors import MellaError
from mella_hf.sources.folder import FolderSource

NEPAL = timezone(timedelta(hours=5, minutes=45))


def as_before(path: Path) -> None:
    """Write a Parquet file as earlier versions did: times are timestamps, of which the metadata says "string"."""
    table = pq.read_table(path).drop_columns(["relevance", "relevance_model", "keywords_by"])
    at = table.column_names.index("collected_at")
    table = table.set_column(at, "collected_at", table["collected_at"].cast(pa.timestamp("us", tz="UTC")))
    pq.write_table(table, path, row_group_size=256)


def kinds(folder: Path) -> set[str]:
    return {str(pq.read_schema(path).field("collected_at").type) for path in folder.glob("ar/*.parquet")}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC), "2024-02-29T23:59:58Z"),
        (datetime(2024, 3, 1, 5, 30, tzinfo=NEPAL), "2024-02-29T23:45:00Z"),
        (datetime(999, 1, 1), "0999-01-01T00:00:00Z"),
        (datetime(2024, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC), "2024-01-01T00:00:00.250000Z"),
        ("2024-03-01T05:30:00+05:45", "2024-02-29T23:45:00Z"),
        ("2026-01-02 00:00:00.000000Z", "2026-01-02T00:00:00Z"),  # as datasets reads a timestamp as text
        ("2026-01-02", "2026-01-02T00:00:00Z"),
        (None, None),
    ],
)
def test_one_form(tmp_path: Path, given: object, stored: str | None) -> None:
    write_split([record(1) | {"collected_at": given}], tmp_path / "d", "ar", "know")
    write_split([record(1, collected_at=given)], tmp_path / "made", "ar", "know")
    assert [row["collected_at"] for name in ("d", "made") for row in rows(tmp_path / name, "ar", "know")] == [
        stored
    ] * 2


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:30:00-01:00", "soon", "2023-02-29"])
def test_a_time_that_is_none(tmp_path: Path, given: str) -> None:
    with pytest.raises(MellaError, match="column 'collected_at'"):
        write_split([record(1) | {"collected_at": given}], tmp_path / "d", "ar", "know")
    lines = [{"file_name": f"{n}.jpg", "text": f"جمل {n}", "collected_at": given} for n in (1, 2)]
    lines[1]["collected_at"] = "2024-05-06T07:08:09Z"
    write_folder(tmp_path / "in", lines, {f"{n}.jpg": picture(n) for n in (1, 2)})
    source = FolderSource(tmp_path / "in", ("ar",), "know")
    report = build_dataset(source, tmp_path / "out", workers=0, progress=False)
    assert report.given["ar"]["know"] == {"kept": 1, "dropped_column_invalid": 1}


@pytest.mark.parametrize("streaming", [False, True])
def test_files_alone_become_tensors(tmp_path: Path, streaming: bool) -> None:
    """Without the card and without this library."""
    write_split(
        [record(n, collected_at="2026-01-02T03:04:05Z" if n else None) for n in range(3)], tmp_path, "ar", "know"
    )
    files = {"know": str(tmp_path / "ar" / "know-*.parquet")}
    found = load_dataset("parquet", data_files=files, split="know", cache_dir=str(tmp_path / "c"), streaming=streaming)
    assert found.features["collected_at"] == datasets.Value("string")
    times = [(row["collected_at"], tuple(row["image"].shape)) for row in found.with_format("torch")]
    assert times == [(time, (3, 64, 96)) for time in (None, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z")]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A dataset folder of an earlier version: six rows, one without a time."""
    folder = tmp_path / "old"
    write_split(
        [record(n, collected_at=f"2026-01-0{n}T03:04:05Z" if n else None) for n in range(6)], folder, "ar", "know"
    )
    write_card(folder)
    for path in shard_paths(folder, "ar", "know"):
        as_before(path)
    assert kinds(folder) == {"timestamp[us, tz=UTC]"}
    return folder


TIMES = [None, *(f"2026-01-0{n}T03:04:05Z" for n in range(1, 6))]


def test_an_old_dataset_loads_and_is_sound(old: Path, tmp_path: Path) -> None:
    for streaming in (False, True):
        options = {"data_dir": str(old), "split": "know", "cache_dir": str(tmp_path / "c"), "streaming": streaming}
        assert [row["collected_at"] for row in load_dataset("mella", "ar", **options).with_format("torch")] == TIMES
    asked = datasets.Features({"collected_at": datasets.Value("timestamp[s, tz=UTC]")})
    assert load_dataset("mella", "ar", features=asked, **options | {"streaming": False})["collected_at"][1] == datetime(
        2026, 1, 1, 3, 4, 5, tzinfo=UTC
    )
    assert verify_dataset(old, workers=0, progress=False).problems == []
    assert split_facts(old, "ar", "know").collected == ("2026-01-01", "2026-01-05")


def test_old_and_new_rows_of_one_split(old: Path, tmp_path: Path) -> None:
    """Of two languages, of which the first in the order of files lacks the later columns; or the second."""
    write_split([record(9, "th", relevance=0.25, relevance_model="clip")], old, "th", "know")
    write_split([record(8, "aa", relevance=0.75, relevance_model="clip")], old, "aa", "know")
    for streaming in (False, True):
        found = load_dataset(
            "mella", "all", data_dir=str(old), split="know", cache_dir=f"{tmp_path}/c", streaming=streaming
        )
        told = {(row["language"], row["relevance"], row["relevance_model"]) for row in found}
        assert told == {("ar", None, None), ("th", 0.25, "clip"), ("aa", 0.75, "clip")}
        few = {"columns": ["language", "relevance"], "streaming": streaming, "cache_dir": f"{tmp_path}/c"}
        rows_of_old = load_dataset("mella", "ar", data_dir=str(old), split="know", **few)
        assert {row["relevance"] for row in rows_of_old} == {None}


def test_new_times_can_be_read_as_timestamps(tmp_path: Path) -> None:
    write_split([record(1, collected_at="2026-01-02T03:04:05Z")], tmp_path, "ar", "know")
    asked = datasets.Features({"collected_at": datasets.Value("timestamp[us, tz=UTC]")})
    found = load_dataset("mella", "ar", data_dir=str(tmp_path), split="know", features=asked, cache_dir=f"{tmp_path}/c")
    assert found[0]["collected_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_takedown_from_an_old_dataset(old: Path) -> None:
    gone = rows(old, "ar", "know")[2]["id"]
    remove_samples(old, ids=[gone])
    assert [row["collected_at"] for row in rows(old, "ar", "know")] == [*TIMES[:2], *TIMES[3:]]
    assert kinds(old) == {"string"} and verify_dataset(old, workers=0, progress=False).problems == []


def test_a_source_is_added_to_an_old_dataset(tmp_path: Path) -> None:
    """Whose own source is gone; the rows that it gave are converted, in the shards that are written anew."""
    out, sources = tmp_path / "out", {}
    for name, seeds in (("one", range(20)), ("two", range(20, 40))):
        lines = [{"file_name": f"{n}.jpg", "text": f"جمل {n}", "collected_at": TIMES[1 + n % 5]} for n in seeds]
        write_folder(tmp_path / name, lines, {f"{n}.jpg": picture(n) for n in seeds})
        sources[name] = FolderSource(tmp_path / name, ("ar",), "know")
    build_dataset(sources["one"], out, workers=0, progress=False)
    for path in [*out.glob("ar/*.parquet"), *out.glob(".build/scan/*/rows.parquet")]:
        as_before(path)
    for path in out.glob(".build/write/done/*.json"):  # an earlier version's settings were others
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"fingerprint": "another"}), "utf-8")
    shutil.rmtree(tmp_path / "one")
    build_dataset(sources["two"], out, workers=0, progress=False)
    found = [row for split in ("know", "know_test") for row in rows(out, "ar", split)]
    assert {row["text"]: row["collected_at"] for row in found} == {f"جمل {n}": TIMES[1 + n % 5] for n in range(40)}
    assert kinds(out) == {"string"} and verify_dataset(out, workers=0, progress=False).problems == []
