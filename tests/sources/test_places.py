"""Releases, folders and Parquet files at an address give the dataset that they give on this machine."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_samples import picture
from image_folders import rows, write_folder
from local_gs import local_gs
from local_hub import LocalHub
from local_s3 import LocalS3
from release_tree import make_release
from typer.testing import CliRunner

from mella_hf import api
from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.places import Place, open_binary, place_of, root_of
from mella_hf.sample import SPLITS, sha256_hex

NAMES = ["a b.jpg", "a#b.jpg", "a%20b.jpg", "a?b=c&d.jpg", "a+b.jpg", "ش/สะพาน.jpg", "a::b.jpg", "c:/d.jpg", "'\".jpg"]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch):
    with LocalS3() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


def built(data, out: Path, languages: str = "ar", **options):
    return api.build_dataset(data, out, languages, **{"workers": 0, "progress": False, "test_size": 4} | options)


def shards(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.glob("*/*.parquet"))}


def refused(data, out: Path, **options) -> str:
    with pytest.raises(MellaError) as error:
        built(data, out, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_release_at_an_address_is_the_release(tmp_path: Path, s3: LocalS3) -> None:
    """The same bytes and the same counts, by workers that start anew, from a listing that takes several pages."""
    make_release(tmp_path / "release", ("ar",), 25)
    packed = next((tmp_path / "release").glob("*image_text_pair*.jsonl"))
    packed.with_suffix(".jsonl.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    s3.page = 7
    s3.put_tree("data", "in/release", tmp_path / "release")
    local = built(tmp_path / "release", tmp_path / "local", source="release")
    there = built("s3://data/in/release/", tmp_path / "there", source="release", workers=1)
    assert there.funnel == local.funnel and there.kept == local.kept > 50
    assert shards(tmp_path / "there") == shards(tmp_path / "local")
    again = built("s3://data/in/release", tmp_path / "there", source="release")
    assert again.ran == 0


def test_names_are_taken_as_they_are(tmp_path: Path, s3: LocalS3) -> None:
    images = {name: picture(n) for n, name in enumerate(NAMES)}
    write_folder(tmp_path / "in", [{"file_name": name, "text": f"جمل {n}"} for n, name in enumerate(NAMES)], images)
    s3.put_tree("data", "a b#c%25/ش", tmp_path / "in")
    built("s3://data/a b#c%25/ش", tmp_path / "out", test_size=0)
    assert [row["image"]["bytes"] for row in rows(tmp_path / "out", "ar", "know")] == list(images.values())
    assert built("s3://data/a b#c%25/ش", tmp_path / "out", test_size=0).ran == 0


def test_what_comes_or_changes_later_is_seen(tmp_path: Path, s3: LocalS3) -> None:
    lines = [{"file_name": f"./i/{n}.jpg", "text": f"جمل {n}"} for n in range(6)]
    write_folder(tmp_path / "in", lines, {f"i/{n}.jpg": picture(n) for n in range(6)})
    s3.put_tree("data", "photos", tmp_path / "in")
    objects = s3.buckets["data"]
    kept = {name: objects.pop(f"photos/i/{name}") for name in ("1.jpg", "4.jpg")}
    objects["photos/i/2.jpg"].data = b"no picture"
    first = built("s3://data/photos", tmp_path / "out")
    assert first.funnel["ar"]["know"] == {"kept": 3, "dropped_image_format": 1, "dropped_image_missing": 2}
    s3.requests.clear()
    assert built("s3://data/photos", tmp_path / "out").ran == 0
    assert not [one for one in s3.requests if one[1].endswith(".jpg")], "images were asked for one by one"
    for name, found in kept.items():
        s3.put("data", f"photos/i/{name}", found.data)
    s3.put("data", "photos/i/2.jpg", picture(2))
    assert built("s3://data/photos", tmp_path / "out").funnel["ar"]["know"] == {"kept": 6}
    del objects["photos/i/5.jpg"]  # what is gone since stays in the dataset
    assert built("s3://data/photos", tmp_path / "out", rescan=False).funnel["ar"]["know"] == {"kept": 6}


def test_images_are_asked_for_at_the_same_time(tmp_path: Path, s3: LocalS3) -> None:
    """Both when they are checked and when they are written; the rows stay in order, and one that is gone is kept."""
    lines = [{"file_name": f"{n}.jpg", "text": f"جمل {n}"} for n in range(60)]
    images = {f"{n}.jpg": picture(n) for n in range(60)}
    images["7.jpg"] = b"no picture"
    write_folder(tmp_path / "in", lines, images)
    s3.put_tree("data", "photos", tmp_path / "in")
    del s3.buckets["data"]["photos/30.jpg"]
    s3.delay = 0.01
    report = built("s3://data/photos", tmp_path / "out", test_size=0)
    assert report.funnel["ar"]["know"] == {"kept": 58, "dropped_image_format": 1, "dropped_image_missing": 1}
    assert s3.most_under_way > 4
    assert [row["text"] for row in rows(tmp_path / "out", "ar", "know")] == [
        f"جمل {n}" for n in range(60) if n not in (7, 30)
    ]
    s3.most_under_way = 0
    del s3.buckets["data"]["photos/3.jpg"]
    again = built("s3://data/photos", tmp_path / "out", test_size=2)  # other splits: the shards are written again
    assert again.kept == 58 and s3.most_under_way > 4
    ids = {row["id"] for split in ("know", "know_test") for row in rows(tmp_path / "out", "ar", split)}
    assert sha256_hex(images["3.jpg"]) in ids


def test_large_listings_are_read_by_ranges(tmp_path: Path, s3: LocalS3) -> None:
    """Each piece of a listing asks for its own bytes and a little more."""
    lines = [json.dumps({"file_name": "none.jpg", "text": f"{n} " + "ج" * 20_000}) for n in range(40)]
    s3.put("data", "big/metadata.jsonl", "\n".join(lines).encode())
    size = len(s3.buckets["data"]["big/metadata.jsonl"].data)
    assert size > 4 << 20
    report = built("s3://data/big", tmp_path / "out")
    assert report.given["ar"]["know"] == {"kept": 0, "dropped_image_missing": 40}
    ranges = [one[2] for one in s3.requests if one[:2] == ("GET", "data/big/metadata.jsonl")]
    assert len(ranges) > 4 and all(ranges) and s3.sent < 2.5 * size


def test_parquet_files_are_read_where_they_lie(tmp_path: Path, s3: LocalS3) -> None:
    """Splits by the names of files, classes by their names, and no more than the columns that are needed."""
    import datasets

    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "caption": datasets.Value("string"),
            "kind": datasets.ClassLabel(names=["animal", "food"]),
            "other": datasets.Value("binary"),
        }
    )
    for split, seeds in (("train", range(9)), ("test", range(20, 23))):
        data = {
            "picture": [{"bytes": picture(n), "path": None} for n in seeds],
            "caption": [f"وصف {n}" for n in seeds],
            "kind": [n % 2 for n in seeds],
            "other": [os.urandom(1 << 20) for _ in seeds],
        }
        table = datasets.Dataset.from_dict(data, features=features)
        (tmp_path / "rows" / "data").mkdir(parents=True, exist_ok=True)
        table.to_parquet(tmp_path / "rows" / "data" / f"{split}-00000-of-00001.parquet", batch_size=4)
    s3.put_tree("data", "rows", tmp_path / "rows")
    asked = {"source": "hf", "kind": "ling", "text_column": "caption", "image_column": "picture", "test_size": 0}
    report = built("s3://data/rows", tmp_path / "out", columns={"category": "kind"}, **asked)
    assert report.funnel == {"ar": {"ling": {"kept": 9}}}
    local = built(tmp_path / "rows", tmp_path / "local", columns={"category": "kind"}, **asked)
    assert shards(tmp_path / "out") == shards(tmp_path / "local") and local.kept == 9
    assert rows(tmp_path / "out", "ar", "ling")[1]["category"] == ["food"]
    assert s3.sent < 2 << 20  # of 12 MiB
    assert built("s3://data/rows", tmp_path / "out", columns={"category": "kind"}, **asked).ran == 0
    file = "s3://data/rows/data/test-00000-of-00001.parquet"
    assert built(file, tmp_path / "test", split="test", **asked).kept == 3
    assert "has no split 'validation'; the names of its files say ['test', 'train']" in refused(
        "s3://data/rows", tmp_path / "no", split="validation", **asked
    )
    assert "has no column 'alt'; it has picture, caption" in refused(
        "s3://data/rows", tmp_path / "no", **asked | {"text_column": "alt"}
    )
    s3.put("data", "rows/data/train-00000-of-00001.parquet", b"PAR1 and no more")
    assert "train-00000-of-00001.parquet' cannot be read as Parquet" in refused(
        "s3://data/rows", tmp_path / "no", **asked
    )
    s3.put("data", "bare/x.csv", b"1")
    assert "No .parquet file is below 's3://data/bare'" in refused("s3://data/bare", tmp_path / "no", **asked)


def test_a_google_bucket_is_read_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release, a folder of languages and Parquet files in folders, which are in no listing of a bucket."""
    bucket = tmp_path / "buckets" / "data"
    make_release(bucket / "release", ("ar",), 12)
    lines = [{"file_name": f"i/{name}", "text": f"جمل {n}"} for n, name in enumerate(NAMES)]
    images = {f"i/{name}": picture(n) for n, name in enumerate(NAMES)}
    write_folder(bucket / "a b#c" / "ar" / "know", lines, images)
    (bucket / "rows" / "data").mkdir(parents=True)
    table = pa.table({"image": [picture(n) for n in range(5)], "text": [f"وصف {n}" for n in range(5)]})
    pq.write_table(table, bucket / "rows" / "data" / "train-00000-of-00001.parquet")
    sources = {"release": "release", "folder": "a b#c", "hf": "rows"}
    with local_gs(tmp_path / "buckets") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
        for source, name in sources.items():
            there = built(f"gs://data/{name}", tmp_path / f"there-{source}", source=source, workers=1)
            here = built(bucket / name, tmp_path / f"here-{source}", source=source)
            assert there.funnel == here.funnel and there.kept == here.kept >= 5
            assert shards(tmp_path / f"there-{source}") == shards(tmp_path / f"here-{source}")
            assert built(f"gs://data/{name}", tmp_path / f"there-{source}", source=source).ran == 0
        assert "is not a folder: nothing is below it" in refused("gs://data/nothing", tmp_path / "no")
        assert "storage.objects.list access" in refused("gs://private/x", tmp_path / "no")
        place = place_of("gs://data/release")
        assert place is not None and len(place.files()) == sum(f.is_file() for f in (bucket / "release").rglob("*"))


@pytest.mark.parametrize("source", ["folder", "release", "hf"])
def test_errors_are_one_line_with_the_cause(tmp_path: Path, s3: LocalS3, monkeypatch, source: str) -> None:
    s3.put("data", "photos/metadata.jsonl", b"")
    s3.put("data", "photos/x.parquet", b"")
    out = tmp_path / "out"
    assert "is not a folder: nothing is below it" in refused("s3://data/phtos", out, source=source)
    assert "NO_SUCH_BUCKET" in refused("s3://no-such-bucket/photos", out, source=source)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    said = refused("s3://data/photos", out, source=source)
    assert "INVALID_ACCESS_KEY_ID" in said and "AWS_ACCESS_KEY_ID" in said
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "ACCESS_DENIED" in refused("s3://data/photos", out, source=source)
    assert "Protocol not known: nope" in refused("nope://data/photos", out, source=source)
    assert "Install that package" in refused("sftp://host/photos", out, source=source)
    assert source == "hf" or not out.exists()


def test_a_server_that_fails_loses_no_row(tmp_path: Path, s3: LocalS3) -> None:
    """A short failure is asked again; a long one ends the build, which then goes on."""
    write_folder(tmp_path / "in", [{"file_name": "1.jpg", "text": "جمل"}], {"1.jpg": picture(1)})
    s3.put_tree("data", "photos", tmp_path / "in")
    s3.faults["1.jpg"] = (403, 1)
    assert "Cannot read 's3://data/photos/1.jpg'" in refused("s3://data/photos", tmp_path / "out")
    s3.faults["1.jpg"] = (503, 2)
    assert built("s3://data/photos", tmp_path / "out").funnel["ar"]["know"] == {"kept": 1}


def test_the_command_reads_addresses(tmp_path: Path, s3: LocalS3) -> None:
    write_folder(tmp_path / "in", [{"file_name": "1.jpg", "text": "جمل"}], {"1.jpg": picture(1)})
    s3.put_tree("data", "photos", tmp_path / "in")
    words = ["build", "--source", "folder", "--languages", "ar", "--out", str(tmp_path / "out"), "--workers", "0"]
    done = CliRunner().invoke(app, [*words, "s3://data/photos"])
    assert done.exit_code == 0 and "ar know: kept 1; left out 0" in done.output
    assert str(tmp_path) not in (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "the image folder `photos`" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_memory_and_local_addresses(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", [{"file_name": "1.jpg", "text": "جمل"}], {"1.jpg": picture(1)})
    memory = fsspec.filesystem("memory")
    for path in (tmp_path / "in").iterdir():
        memory.pipe_file(f"/photos/{path.name}", path.read_bytes())
    try:
        assert built("memory://photos", tmp_path / "out", workers=2).kept == 1
        memory.pipe_file("/photos/1.jpg", picture(2))
        report = built("memory://photos", tmp_path / "out", workers=2)
        assert report.ran and rows(tmp_path / "out", "ar", "know")[0]["image"]["bytes"] == picture(2)
    finally:
        memory.rm("/photos", recursive=True)
    assert built(f"file://{tmp_path}/in", tmp_path / "file").kept == 1


def test_a_second_source_lies_elsewhere(tmp_path: Path, s3: LocalS3) -> None:
    """Images of the first are taken from the dataset; nobody asks for them again."""
    for name, seeds in (("one", range(5)), ("two", range(3, 8))):
        lines = [{"file_name": f"{n}.jpg", "text": f"جمل {n}"} for n in seeds]
        write_folder(tmp_path / name, lines, {f"{n}.jpg": picture(n) for n in seeds})
    s3.put_tree("data", "one", tmp_path / "one")
    built("s3://data/one", tmp_path / "out")
    s3.buckets.clear()
    report = built(tmp_path / "two", tmp_path / "out")
    assert report.funnel["ar"]["know"] == {"kept": 8, "dropped_duplicate_bytes": 2}
    assert sum(len(rows(tmp_path / "out", "ar", split)) for split in SPLITS) == 8


@pytest.mark.parametrize("path", ["/data/a", "C:/data", "C:\\data", "org/name", "a:b/c", "./s3:x"])
def test_paths_are_no_addresses(path: str) -> None:
    assert place_of(path) is None


def test_a_path_that_lost_a_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of(Path("s3://data/a//b/")) == Place("s3", "data/a/b")
    monkeypatch.chdir(tmp_path)
    Path("s3:/data").mkdir(parents=True)
    assert root_of("s3:/data") == tmp_path / "s3:" / "data"


def test_a_server_without_ranges_is_refused(tmp_path: Path) -> None:
    """Python's own server sends the whole file: a piece of it would be another piece."""
    import functools
    import threading
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args) -> None:
            pass

    (tmp_path / "listing.jsonl").write_bytes(b"x" * 5000)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    place = place_of(f"http://127.0.0.1:{server.server_port}/listing.jsonl")
    try:
        assert place is not None and place.read() == b"x" * 5000
        with open_binary(place, 1000) as file, pytest.raises(MellaError, match="must read ranges"):
            file.read(1000)
    finally:
        server.shutdown()
        server.server_close()


def test_a_repo_of_the_hub_is_read_in_place(tmp_path: Path) -> None:
    """Also of a revision, with names that a URL quotes."""
    names = ["a b#c%20.jpg", "ش/สะพาน.jpg"]
    images = {name: picture(n) for n, name in enumerate(names)}
    lines = [{"file_name": name, "text": f"جمل {n}"} for n, name in enumerate(names)]
    write_folder(tmp_path / "repo" / "photos", lines, images)
    (tmp_path / "repo" / "rows").mkdir()
    table = pa.table({"image": list(images.values()), "text": ["một", "hai"]})
    pq.write_table(table, tmp_path / "repo" / "rows" / "train-00000-of-00001.parquet")
    with LocalHub(tmp_path / "hub") as hub:
        hub.add("org/pictures", tmp_path / "repo")
        common = ["--workers", "0", "--out", str(tmp_path / "out")]
        for words in (
            ["hf://datasets/org/pictures@main/photos", "--source", "folder", "--languages", "ar"],
            ["hf://datasets/org/pictures", "--source", "hf", "--languages", "vi"],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "mella_hf", "build", *words, *common],
                env=os.environ | hub.environment(tmp_path / "home"), capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    assert [row["image"]["bytes"] for row in rows(tmp_path / "out", "ar", "know")] == list(images.values())
    assert [row["text"] for row in rows(tmp_path / "out", "vi", "know")] == ["một", "hai"]
