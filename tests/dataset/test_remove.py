"""What is asked away is gone from the rows and the files; everything else stays as it was, byte for byte."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from dataset_samples import record
from release_tree import make_release
from typer.testing import CliRunner

from mella_hf.commands.remove import remove
from mella_hf.dataset.building.build import build_dataset
from mella_hf.dataset.card import write_card
from mella_hf.dataset.remove import read_records, remove_samples
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import shard_paths, write_split
from mella_hf.errors import MellaError
from mella_hf.sources.release import ReleaseSource

DOMAINS = ["example.org", "www.example.org", "notexample.org", "other.net", None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """know in three shards of at most 256 rows, domains in turn."""
    rows = [record(n, domain=DOMAINS[n % 5]) for n in range(530)]
    write_split(rows, tmp_path / "d", "ar", "know", shard_bytes=1)
    write_split([record(n, domain="other.net") for n in range(600, 603)], tmp_path / "d", "ar", "know_test")
    write_card(tmp_path / "d")
    return tmp_path / "d"


def rows(folder: Path, language: str = "ar", split: str = "know") -> list[dict]:
    return [row for path in shard_paths(folder, language, split) for row in pq.read_table(path).to_pylist()]


def test_by_id(folder: Path) -> None:
    before = rows(folder)
    files = [path.read_bytes() for path in shard_paths(folder, "ar", "know")]
    gone = [before[300], before[301]]
    report = remove_samples(folder, ids=[gone[0]["id"], gone[1]["id"].upper() + "\n", "0" * 64])
    assert dict(report.removed) == {"ar/know": 2} and report.not_found == ["0" * 64]
    assert rows(folder) == before[:300] + before[302:]
    after = [path.read_bytes() for path in shard_paths(folder, "ar", "know")]
    assert [a == b for a, b in zip(after, files, strict=True)] == [True, False, True]
    assert not any(row["image"]["bytes"] in data for row in gone for data in after)
    assert verify_dataset(folder, workers=0, progress=False).problems == []


def test_by_domain(folder: Path) -> None:
    before = rows(folder)
    report = remove_samples(folder, domain="Example.org")
    assert rows(folder) == [row for row in before if row["domain"] not in ("example.org", "www.example.org")]
    assert report.removed["ar/know"] == 212 and len(report.rewritten) == 3
    assert "| example.org |" not in (folder / "README.md").read_text("utf-8")


def test_a_whole_split(folder: Path) -> None:
    remove_samples(folder, ids=[row["id"] for row in rows(folder, split="know_test")])
    assert shard_paths(folder, "ar", "know_test") == []
    assert verify_dataset(folder, workers=0, progress=False).problems == []


def test_a_shard_may_become_empty(folder: Path) -> None:
    last = pq.read_table(shard_paths(folder, "ar", "know")[2])["id"].to_pylist()
    remove_samples(folder, ids=last)
    assert len(rows(folder)) == 530 - len(last) and len(shard_paths(folder, "ar", "know")) == 3
    assert verify_dataset(folder, workers=0, progress=False).problems == []
    from datasets import load_dataset

    import mella_hf  # noqa: F401

    for options in ({"path": "mella", "data_dir": str(folder)}, {"path": str(folder)}):
        assert len(load_dataset(name="ar", split="know", cache_dir=str(folder / ".cache"), **options)) == 512


def test_requests_are_on_record_once(folder: Path) -> None:
    for _ in range(2):
        remove_samples(folder, domain="other.net")
    remove_samples(folder, ids=["1" * 64])
    records = read_records(folder)
    assert [{k: v for k, v in r.items() if k != "requested"} for r in records] == [
        {"domain": "other.net"},
        {"ids": ["1" * 64]},
    ]
    assert all(len(r["requested"]) == 10 for r in records)


def test_a_later_build_leaves_them_out(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 30, flaws=False)
    source = ReleaseSource(tmp_path / "release", ("ar",))
    out = tmp_path / "out"
    build_dataset(source, out, workers=0, progress=False, test_size=0)
    gone = rows(out)[4]["id"]
    remove_samples(out, ids=[gone])
    remove_samples(out, domain="www.example-3.ar")
    removed = {row["id"] for row in rows(out)}
    report = build_dataset(source, out, workers=0, progress=False, test_size=0)
    assert {row["id"] for row in rows(out)} == removed and gone not in removed
    assert report.funnel["ar"]["know"] == {"kept": len(removed), "dropped_removed_on_request": 30 - len(removed)}
    lines = (out / "rejects" / "ar-know.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["reason"] for line in lines} == {"removed_on_request"}


def test_the_build_keeps_no_copy(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 10, flaws=False)
    build_dataset(
        ReleaseSource(tmp_path / "release", ("ar",)), tmp_path / "out", workers=0, progress=False, test_size=0
    )
    image = rows(tmp_path / "out")[0]
    remove_samples(tmp_path / "out", ids=[image["id"]])
    parquet = [path for path in (tmp_path / "out").rglob("*.parquet")]
    assert parquet and not any(image["image"]["bytes"] in path.read_bytes() for path in parquet)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": ["abc"]}, "'abc' is not a sample id; ids are the 64 hex digits of the column 'id'"),
        ({"domain": "http://example.org"}, "is not a domain; give a host such as 'example.org', without http://"),
        ({}, "Nothing to remove: give ids or a domain"),
    ],
)
def test_bad_requests(folder: Path, options: dict, message: str) -> None:
    with pytest.raises(MellaError, match=message):
        remove_samples(folder, **options)
    assert not (folder / "removals.jsonl").exists()


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="holds no dataset"):
        remove_samples(tmp_path, domain="example.org")


def test_the_command(folder: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(remove)
    wanted = tmp_path / "ids.txt"
    wanted.write_text(rows(folder)[0]["id"] + "\n\n")
    result = CliRunner().invoke(app, [str(folder), "--ids", str(wanted)])
    assert result.output == "ar/know: 1 removed\n1 rows removed, 1 shards rewritten.\n"
    result = CliRunner().invoke(app, [str(folder), "--ids", str(tmp_path / "no")])
    assert isinstance(result.exception, MellaError) and "is not a file" in str(result.exception)
