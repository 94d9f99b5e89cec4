"""Listings as people have them: any spelling is read or refused by name, and nothing in a folder makes a build hang."""

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from dataset_samples import picture
from image_folders import rows, write_folder
from release_tree import make_release

from mella_hf.dataset.building.build import build_dataset
from mella_hf.errors import MellaError
from mella_hf.sources.folder import FolderSource
from mella_hf.sources.listings import find_listings, lines_between
from mella_hf.sources.release import ReleaseSource


def built(source, out: Path, **options):
    return build_dataset(source, out, workers=0, progress=False, test_size=0, **options)


def counted(report, language: str, kind: str) -> dict[str, int]:
    """Rows kept and dropped, without the notes beside them."""
    counts = report.funnel[language][kind]
    return {name: count for name, count in counts.items() if name == "kept" or name.startswith("dropped_")}


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "metadata.jsonl.gz": gzip.compress,
    "METADATA.JSONL": bytes,
    "metadata.Jsonl.BZ2": bz2.compress,
    "metadata.ndjson": lambda data: b"\xef\xbb\xbf" + data,
    "metadata.jsonlines.xz": lzma.compress,
    "Metadata.jsonl.zst": zstd,
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_of_a_listing_is_read(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mella_hf.sources.listings.UNIT_BYTES", 100)  # several units
    home = tmp_path / "in" / "ru" / "know"
    write_folder(
        home,
        [{"file_name": f"{n}.jpg", "text": f"сыр {n}"} for n in range(6)],
        {f"{n}.jpg": picture(n) for n in range(9)},
    )
    plain = (home / "metadata.jsonl").read_bytes()
    (home / "metadata.jsonl").unlink()
    (home / name).write_bytes(SPELLINGS[name](plain))
    assert built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out").kept == 6
    assert built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out").ran == 0
    more = json.dumps({"file_name": "7.jpg", "text": "сыр 7"}).encode() + b"\n"
    (home / name).write_bytes(SPELLINGS[name](plain + more))
    assert built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out").kept == 7


def test_packed_listings_beside_plain_ones(tmp_path: Path) -> None:
    make_release(tmp_path / "in", ("ar",), 20, flaws=False)
    plain = sorted((tmp_path / "in").glob("*_image_text_pair_*.jsonl"))[0]
    (tmp_path / "in" / "ar" / f"{plain.stem}.JSONL.GZ").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    translations = tmp_path / "in" / "trans_ar.json"
    translations.with_suffix(".json.xz").write_bytes(lzma.compress(translations.read_bytes()))
    translations.unlink()
    report = built(ReleaseSource(tmp_path / "in", ("ar",)), tmp_path / "out")
    assert [counted(report, "ar", kind) for kind in ("know", "ling")] == [{"kept": 20}, {"kept": 20}]


@pytest.mark.parametrize(
    "name",
    ["metadata.csv", "metadata.parquet", "metadata.json", "metadata.jsonl.7z", "metadata.jsonl.part", "METADATA.TSV"],
)
def test_a_listing_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / "in", [{"file_name": "0.jpg", "text": "сыр"}], {"0.jpg": picture(0)})
    (tmp_path / "in" / name).write_bytes(b"file_name,text\n1.jpg,more\n")
    with pytest.raises(MellaError, match=rf"{name}' looks like a listing, and cannot be read"):
        built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out")


def test_a_damaged_packed_listing_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", [], {})
    (tmp_path / "in" / "metadata.jsonl.gz").write_bytes(gzip.compress(b'{"file_name": "a.jpg"}\n' * 999)[:-20])
    with pytest.raises(MellaError, match=r"metadata\.jsonl\.gz' does not unpack .*; fetch it again"):
        built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out")


def odd(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling link":
        path.symlink_to(path.with_name("nothing"))
    elif kind == "link to itself":
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/zero")


KINDS = ["folder", "pipe", "dangling link", "link to itself", "device"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_listing_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    odd(tmp_path / "in" / "metadata.jsonl", kind)
    with pytest.raises(MellaError, match=r"metadata\.jsonl' is (not a file|a link to nothing)"):
        built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out")


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_is_no_file_is_a_reject(tmp_path: Path, kind: str, verify: bool) -> None:
    make_release(tmp_path / "in", ("ar",), 4, flaws=False, parts=1)
    odd(sorted((tmp_path / "in/ar/image_text_pair").iterdir())[0], kind)
    report = built(ReleaseSource(tmp_path / "in", ("ar",)), tmp_path / "out", verify=verify)
    counts = counted(report, "ar", "know")
    assert counts.pop("kept") == 3
    assert set(counts) <= {"dropped_image_missing", "dropped_image_not_a_file"} and sum(counts.values()) == 1


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    lines = [
        r'{"file_name": "caf\udce9.jpg", "text": "сыр"}',
        r'{"file_name": "\ud800.jpg", "text": "сыр"}',
        '{"file_name": "0.jpg", "text": "сыр"}',
    ]
    write_folder(tmp_path / "in", lines, {"0.jpg": picture(0)})
    (tmp_path / "in" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(picture(1))
    counts = counted(built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out"), "ru", "know")
    assert counts.pop("kept") == 1 and sum(counts.values()) == 2
    (tmp_path / "in" / os.fsdecode(b"metadata.jsonl")).rename(
        tmp_path / "in" / os.fsdecode(b"x_ru_image_text_pair_\xe9.jsonl")
    )
    with pytest.raises(MellaError, match="is not UTF-8; rename it"):
        built(ReleaseSource(tmp_path / "in", ("ru",)), tmp_path / "out2")


ODD_LABELS = {
    "a number": {"labels": {"pjwk_cates": {"level1": 3}}},
    "true": {"labels": {"pjwk_cates": {"level1": True}}},
    "a string": {"labels": {"pjwk_cates": {"level1": "文化类"}}},
    "numbers within": {"labels": {"pjwk_cates": {"level2": ["文化类", 7]}}},
    "a list of levels": {"labels": {"pjwk_cates": ["文化类"]}},
    "captions as text": {"captions": "كنافة"},
    "content as list": {"captions": {"content": ["كنافة"], "lang": "ar"}},
    "a url of numbers": {"url": 5},
    "a size of strings": {"image": {"resolution": ["96", "64"]}},
}


@pytest.mark.parametrize("change", ODD_LABELS.values(), ids=ODD_LABELS)
def test_an_odd_line_is_a_reject_with_its_place(tmp_path: Path, change: dict) -> None:
    make_release(tmp_path / "in", ("ar",), 3, flaws=False, parts=1)
    (path,) = (tmp_path / "in").glob("*_image_text_pair_*.jsonl")
    lines = [json.loads(line) for line in path.read_bytes().splitlines() if line]
    lines[1] |= change
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    report = built(ReleaseSource(tmp_path / "in", ("ar",)), tmp_path / "out")
    assert counted(report, "ar", "know") == {"kept": 2, "dropped_line_invalid": 1}
    (reject,) = [json.loads(line) for line in (tmp_path / "out/rejects/ar-know.jsonl").read_text("utf-8").splitlines()]
    assert reject["where"].startswith(f"{path.name}@") and reject["detail"].startswith(next(iter(change)))
    assert all(len(name) > 1 for row in rows(tmp_path / "out", "ar", "know") for name in row["category"])


def test_lines_belong_to_the_range_in_which_they_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf1\n22\n\n333\n4")
    for step in range(1, 20):
        ranges = range(0, path.stat().st_size, step)
        found = [line.strip() for start in ranges for _, line in lines_between(path, start, start + step)]
        assert found == [b"1", b"22", b"333", b"4"]


def test_no_folder_has_no_listings(tmp_path: Path) -> None:
    assert find_listings(tmp_path / "no", "metadata") == []
