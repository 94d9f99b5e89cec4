"""A dataset folder may move: what the build knows of its own files is relative to it."""

import shutil
from pathlib import Path

from release_tree import make_release

from mella_hf.dataset.building.build import BuildReport, build_dataset
from mella_hf.dataset.verify import verify_dataset
from mella_hf.sources.release import ReleaseSource


def built(tmp_path: Path, out: str) -> BuildReport:
    source = ReleaseSource(tmp_path / "release", ("ar",))
    return build_dataset(source, tmp_path / out, workers=0, progress=False, test_size=2)


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("ar/*.parquet")}


def test_a_moved_folder_is_not_built_again(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 12, flaws=False)
    done = built(tmp_path, "before").ran
    before = shards(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after # it")
    report = built(tmp_path, "after # it")
    assert (report.ran, report.skipped) == (0, done)
    shutil.rmtree(tmp_path / "after # it" / ".build" / "write")  # as if the move came before the end
    assert built(tmp_path, "after # it").ran == len(before)
    assert shards(tmp_path / "after # it") == before


def test_a_moved_folder_is_not_verified_again(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 12, flaws=False)
    built(tmp_path, "before")
    verify_dataset(tmp_path / "before", workers=0, progress=False)
    marks = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "before" / ".verify" / "done").iterdir()}
    (tmp_path / "before").rename(tmp_path / "after")
    assert verify_dataset(tmp_path / "after", workers=0, progress=False).problems == []
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "after" / ".verify" / "done").iterdir()} == marks
