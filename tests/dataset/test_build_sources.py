"""A dataset folder is built up by sources: what one gave stays when another comes, or comes again."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from dataset_samples import picture
from image_folders import rows, write_folder
from kill_points import killed_at
from release_tree import make_release
from typer.testing import CliRunner, Result

from mella_hf.commands.build import build
from mella_hf.dataset.building.build import build_dataset
from mella_hf.dataset.disjoint import check_disjoint
from mella_hf.dataset.removal.remove import LOCK, remove_samples
from mella_hf.dataset.verify import verify_dataset
from mella_hf.errors import MellaError
from mella_hf.locks import sole_use
from mella_hf.sample import SPLITS
from mella_hf.sources.folder import FolderSource
from mella_hf.sources.release import ReleaseSource


def folder(root: Path, seeds: range, kind: str = "know", text: str = "جمل") -> FolderSource:
    """An image folder of Arabic rows, one for each seed."""
    lines = [{"file_name": f"{n}.jpg", "text": f"{text} {n}"} for n in seeds]
    write_folder(root, lines, {f"{n}.jpg": picture(n) for n in seeds})
    return FolderSource(root, ("ar",), kind)


def built(source, out: Path, **options):
    return build_dataset(source, out, workers=0, progress=False, **options)


def texts(out: Path) -> set[str]:
    return {row["text"] for split in SPLITS for row in rows(out, "ar", split)}


def sizes(out: Path) -> dict[str, int]:
    return {split: len(rows(out, "ar", split)) for split in SPLITS}


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "ar").iterdir()}


def test_a_second_source_is_added(tmp_path: Path) -> None:
    """The paper's joint setting out of two sources."""
    out = tmp_path / "out"
    built(folder(tmp_path / "alt", range(30)), out)
    report = built(folder(tmp_path / "described", range(100, 120), "ling", "وصف"), out)
    assert sizes(out) == {"know": 24, "ling": 16, "know_test": 6, "ling_test": 4}
    assert report.funnel["ar"] == {"know": {"kept": 30}, "ling": {"kept": 20}}
    assert report.given["ar"] == {"ling": {"kept": 20}} and report.replaced == {}
    assert json.loads((out / "funnel.json").read_text())["ar"] == report.funnel["ar"]
    card = (out / "README.md").read_text("utf-8")
    assert "the image folder `alt`: ar know 30 rows" in card and "`described`: ar ling 20 rows" in card
    assert str(tmp_path) not in card
    assert verify_dataset(out, workers=0, progress=False).problems == []


def test_images_of_another_source_are_left_out_and_the_tests_stay_clean(tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(folder(tmp_path / "one", range(40)), out)
    source = folder(tmp_path / "two", range(20, 60), "ling")
    (tmp_path / "two" / "25.jpg").write_bytes(picture(25, quality=60))  # the same picture in other bytes
    report = built(source, out)
    assert report.given["ar"] == {"ling": {"kept": 20, "dropped_duplicate_bytes": 19, "dropped_duplicate_picture": 1}}
    check_disjoint(out, "ar")
    lines = [json.loads(line) for line in (out / "rejects" / "ar-ling.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 20 and set(lines[0]) == {"reason", "source", "where"}


def test_an_earlier_source_need_not_be_there_any_more(tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(folder(tmp_path / "one", range(20)), out)
    shutil.rmtree(tmp_path / "one")
    built(folder(tmp_path / "two", range(50, 70)), out, shard_bytes=8_000)
    images = {row["image"]["bytes"] for split in SPLITS for row in rows(out, "ar", split)}
    assert images == {picture(n) for n in [*range(20), *range(50, 70)]}


def test_the_order_of_sources_changes_no_row(tmp_path: Path) -> None:
    sources = folder(tmp_path / "one", range(20)), folder(tmp_path / "two", range(50, 70))
    for out, order in (("a", sources), ("b", sources[::-1])):
        for source in order:
            built(source, tmp_path / out)
    found = [{(s, row["id"]) for s in SPLITS for row in rows(tmp_path / out, "ar", s)} for out in "ab"]
    assert found[0] == found[1] and len(found[0]) == 40


def test_the_same_source_again_is_no_second_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    one, two = folder(tmp_path / "one", range(20)), folder(tmp_path / "two", range(50, 70))
    built(one, out)
    built(two, out)
    before = content(out)
    report = built(one, out)
    assert report.ran == 0 and content(out) == before
    (tmp_path / "one" / "metadata.jsonl").write_text(json.dumps({"file_name": "3.jpg", "text": "جمل جديد"}) + "\n")
    report = built(one, out)
    assert report.given["ar"] == {"know": {"kept": 1}} and report.funnel["ar"]["know"] == {"kept": 21}
    assert texts(out) == {"جمل جديد"} | {f"جمل {n}" for n in range(50, 70)}


def test_replacing_says_what_goes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(folder(tmp_path / "one", range(20)), out)
    report = built(folder(tmp_path / "two", range(50, 60)), out, replace=True)
    assert report.replaced == {"the image folder `one`": 20}
    assert texts(out) == {f"جمل {n}" for n in range(50, 60)}
    assert built(folder(tmp_path / "three", range(80, 85)), out).funnel["ar"]["know"]["kept"] == 15


def test_a_source_that_gives_nothing_replaces_nothing(tmp_path: Path) -> None:
    built(folder(tmp_path / "one", range(10)), tmp_path / "out")
    source = folder(tmp_path / "two", range(20, 23))
    for path in (tmp_path / "two").glob("*.jpg"):
        path.unlink()
    report = built(source, tmp_path / "out", replace=True)
    assert report.kept == 0 and report.replaced == {} and len(texts(tmp_path / "out")) == 10


def test_another_column_gives_other_rows(tmp_path: Path) -> None:
    """A wrong --text-column is mended by giving the right one."""
    lines = [{"file_name": f"{n}.jpg", "alt": f"جمل {n}"} for n in range(5)]
    write_folder(tmp_path / "in", lines, {f"{n}.jpg": picture(n) for n in range(5)})
    wrong = built(FolderSource(tmp_path / "in", ("ar",), text_column="caption"), tmp_path / "out")
    assert wrong.given["ar"]["know"] == {"kept": 0, "dropped_caption_missing": 5}
    right = built(FolderSource(tmp_path / "in", ("ar",), text_column="alt"), tmp_path / "out")
    assert right.given["ar"]["know"] == {"kept": 5}


def test_a_folder_as_another_kind_takes_nothing_away(tmp_path: Path) -> None:
    """Its images are in the dataset already, as `know`, and stay so."""
    built(folder(tmp_path / "one", range(10)), tmp_path / "out")
    report = built(FolderSource(tmp_path / "one", ("ar",), "ling"), tmp_path / "out")
    assert report.given["ar"]["ling"] == {"kept": 0, "dropped_duplicate_bytes": 10}
    assert len(texts(tmp_path / "out")) == 10


def test_a_kind_that_the_source_has_no_more_is_said(tmp_path: Path) -> None:
    for kind, seeds in (("know", range(6)), ("ling", range(20, 26))):
        folder(tmp_path / "in" / "ar" / kind, seeds)
    source = FolderSource(tmp_path / "in", ("ar",))
    built(source, tmp_path / "out")
    shutil.rmtree(tmp_path / "in" / "ar" / "know")
    assert built(source, tmp_path / "out").replaced == {"know of the image folder `in`": 6}


def test_a_copy_of_a_dataset_is_added_to(tmp_path: Path) -> None:
    """Such as one from the Hub: nobody recorded what it was built from."""
    built(folder(tmp_path / "one", range(30)), tmp_path / "first")
    (tmp_path / "copy" / "ar").mkdir(parents=True)
    for name, data in content(tmp_path / "first").items():
        (tmp_path / "copy" / "ar" / name).write_bytes(data)
    report = built(folder(tmp_path / "two", range(25, 40)), tmp_path / "copy")
    assert report.given["ar"]["know"] == {"kept": 10, "dropped_duplicate_bytes": 5}
    assert sizes(tmp_path / "copy") == {"know": 32, "ling": 0, "know_test": 8, "ling_test": 0}


def test_a_source_that_was_not_decoded_is_compared_by_bytes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    tree = make_release(tmp_path / "release", ("ar",), 12, flaws=False)
    built(ReleaseSource(tree.root, ("ar",)), out, verify=False)
    report = built(folder(tmp_path / "one", range(200, 210)), out)
    assert report.funnel["ar"]["know"]["kept"] == 22
    assert "perceptual hashes were not compared" in (out / "README.md").read_text("utf-8")


ADD = """
import sys
from pathlib import Path
from mella_hf.commands.build import build
from mella_hf.dataset.building.build import build_dataset
from mella_hf.sources.folder import FolderSource
build_dataset(FolderSource(Path(sys.argv[1]), ("ar",)), sys.argv[2], workers=0, progress=False, shard_bytes=20_000)
"""


POINTS = [r"sources\.json", r"out/ar/.*know-0000[1-9]", r"write/done/.*ar-know-0000", "funnel"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_a_source_is_added(tmp_path: Path, point: str) -> None:
    """SIGKILL, then the same command: as if it had not been. The first source's images are gone by then."""
    ours, other = folder(tmp_path / "two", range(50, 80)), folder(tmp_path / "one", range(30))
    for out in ("out", "whole"):
        built(other, tmp_path / out, shard_bytes=20_000)
    for path in (tmp_path / "one").glob("*.jpg"):
        path.unlink()
    built(ours, tmp_path / "whole", shard_bytes=20_000)
    command = [sys.executable, "-c", ADD, str(tmp_path / "two"), str(tmp_path / "out")]
    killed = subprocess.run(command, env=killed_at(point, dict(os.environ)), start_new_session=True)
    assert killed.returncode == -signal.SIGKILL
    built(ours, tmp_path / "out", shard_bytes=20_000)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_two_builds_at_once(tmp_path: Path) -> None:
    source = folder(tmp_path / "one", range(5))
    out = tmp_path / "out"
    with (
        sole_use(out / LOCK, out, "mella build"),
        pytest.raises(MellaError, match="out is in use by mella build: proc"),
    ):
        built(source, out)
    assert built(source, tmp_path / "out").kept == 5


def test_images_that_come_later_are_seen(tmp_path: Path) -> None:
    source = folder(tmp_path / "one", range(10))
    late = {n: (tmp_path / "one" / f"{n}.jpg").read_bytes() for n in (1, 4, 7, 9)}
    for n in late:
        (tmp_path / "one" / f"{n}.jpg").unlink()
    report = built(source, tmp_path / "out")
    assert report.funnel["ar"]["know"] == {"kept": 6, "dropped_image_missing": 4}
    assert built(source, tmp_path / "out").ran == 0
    for n, data in late.items():
        (tmp_path / "one" / f"{n}.jpg").write_bytes(data)
    assert built(source, tmp_path / "out").funnel["ar"]["know"] == {"kept": 10}


def test_an_image_that_is_mended_is_seen(tmp_path: Path) -> None:
    source = folder(tmp_path / "one", range(6))
    path = tmp_path / "one" / "2.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert built(source, tmp_path / "out").funnel["ar"]["know"] == {"kept": 5, "dropped_image_broken": 1}
    path.write_bytes(whole)
    assert built(source, tmp_path / "out").funnel["ar"]["know"] == {"kept": 6}


def test_rescan_sees_what_size_and_time_hide(tmp_path: Path) -> None:
    source = folder(tmp_path / "one", range(6))
    path = tmp_path / "one" / "2.jpg"
    whole = path.read_bytes()
    built(source, tmp_path / "out")
    time = path.stat().st_mtime_ns
    path.write_bytes(whole[:100] + bytes(len(whole) - 100))
    os.utime(path, ns=(time, time))
    assert built(source, tmp_path / "out").ran == 0
    assert built(source, tmp_path / "out", rescan=True).funnel["ar"]["know"]["kept"] == 5


def test_images_that_are_gone_stay_in_the_dataset(tmp_path: Path) -> None:
    """A disk that is not mounted must not empty a dataset; `rescan` believes the source."""
    source = folder(tmp_path / "one", range(10))
    built(source, tmp_path / "out")
    before = content(tmp_path / "out")
    for path in (tmp_path / "one").glob("*.jpg"):
        path.unlink()
    assert built(source, tmp_path / "out").ran == 0 and content(tmp_path / "out") == before
    report = built(source, tmp_path / "out", rescan=True)
    assert report.funnel["ar"]["know"] == {"kept": 0, "dropped_image_missing": 10} and report.kept == 0


@pytest.mark.parametrize("change", ["a line", "an image"])
def test_images_that_are_gone_stay_when_others_come(tmp_path: Path, change: str) -> None:
    """Who makes room for new images by deleting those that were built loses nothing."""
    source = folder(tmp_path / "one", range(10))
    new = tmp_path / "one" / "9.jpg"
    data = new.read_bytes()
    new.unlink()
    assert built(source, tmp_path / "out").given["ar"]["know"] == {"kept": 9, "dropped_image_missing": 1}
    for path in (tmp_path / "one").glob("*.jpg"):
        path.unlink()
    if change == "an image":
        new.write_bytes(data)
    else:
        with open(tmp_path / "one" / "metadata.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"file_name": "10.jpg", "text": "جمل 10"}) + "\n")
        (tmp_path / "one" / "10.jpg").write_bytes(picture(10))
    report = built(source, tmp_path / "out")
    lost = {} if change == "an image" else {"dropped_image_missing": 1}
    assert report.given["ar"]["know"] == {"kept": 10, **lost} and sum(sizes(tmp_path / "out").values()) == 10
    assert verify_dataset(tmp_path / "out", workers=0, progress=False).problems == []
    assert built(source, tmp_path / "out", rescan=True).kept == 1


def test_what_was_taken_down_does_not_come_back(tmp_path: Path) -> None:
    """Though the scan before knew it."""
    source = folder(tmp_path / "one", range(10))
    built(source, tmp_path / "out", test_size=0)
    gone = rows(tmp_path / "out", "ar", "know")[3]["id"]
    remove_samples(tmp_path / "out", ids=[gone])
    for path in (tmp_path / "one").glob("*.jpg"):
        path.unlink()
    with open(tmp_path / "one" / "metadata.jsonl", "a", encoding="utf-8") as file:
        file.write("\n")
    assert built(source, tmp_path / "out", test_size=0).kept == 9
    assert gone not in {row["id"] for row in rows(tmp_path / "out", "ar", "know")}


def command(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(build)
    return CliRunner().invoke(app, [*arguments, "--languages", "ar", "--workers", "0"])


def test_the_command_adds_and_replaces(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    folder(tmp_path / "one", range(10))
    folder(tmp_path / "two", range(5, 12))
    for name in ("one", "two"):
        done = command(str(tmp_path / name), "--source", "folder", "--out", out)
        assert done.exit_code == 0, done.output
    assert "ar know: kept 2; left out 5\n  5  duplicate_bytes  metadata.jsonl@0\n" in done.output
    assert "ar know: 10 rows of other sources stay" in done.output
    done = command(str(tmp_path / "two"), "--source", "folder", "--out", out, "--replace")
    assert "replaced: the image folder `one`, 10 rows\n" in done.output and len(texts(Path(out))) == 7


def test_a_build_that_keeps_nothing_fails(tmp_path: Path) -> None:
    folder(tmp_path / "one", range(3))
    for path in (tmp_path / "one").glob("*.jpg"):
        path.write_bytes(b"<svg/>")
    done = command(str(tmp_path / "one"), "--source", "folder", "--out", str(tmp_path / "out"))
    assert done.exit_code == 1 and "No row of DATA was kept" in done.output
    assert "  3  image_format  metadata.jsonl@0: not one of JPEG, PNG, WEBP, GIF, AVIF, BMP\n" in done.output


@pytest.mark.parametrize("language", ["con", "AR", "Lpt1"])
def test_a_language_that_cannot_name_a_folder_everywhere(tmp_path: Path, language: str) -> None:
    """No image is read for it, and what is there stays."""
    out = tmp_path / "out"
    built(folder(tmp_path / "first", range(5)), out)
    before = content(out)
    folder(tmp_path / "second", range(10, 15))
    with pytest.raises(MellaError, match="A language names a folder, and"):
        built(FolderSource(tmp_path / "second", (language,), "know"), out)
    assert content(out) == before and not (out / language).exists()
