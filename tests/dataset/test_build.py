"""A raw release in, the published layout out: every flaw counted where it was put, whatever happens on the way."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from datasets import load_dataset
from release_tree import TEXTS, Tree, generated, make_release
from typer.testing import CliRunner

import mella_hf  # noqa: F401  (registers "mella")
from mella_hf.commands.build import build
from mella_hf.dataset.building.build import build_dataset
from mella_hf.dataset.building.candidate import MAX_IMAGE_BYTES
from mella_hf.dataset.disjoint import check_disjoint
from mella_hf.dataset.write import shard_paths
from mella_hf.errors import MellaError, StageError, UnknownLanguageError
from mella_hf.sample import SPLITS
from mella_hf.sources.release import ReleaseSource

LANGUAGES = ("ar", "th")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_release(tmp_path_factory.mktemp("release"), LANGUAGES, 40)


@pytest.fixture(scope="module")
def source(tree: Tree) -> ReleaseSource:
    return ReleaseSource(tree.root, LANGUAGES)


@pytest.fixture(scope="module")
def built(source: ReleaseSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "mella"
    build_dataset(source, out, workers=0, progress=False)
    return out


def fingerprint(out: Path) -> dict[str, str]:
    """sha256 of everything that a build leaves, its working files apart."""
    files = [p for p in sorted(out.rglob("*")) if p.is_file() and not {".build", ".verify"} & set(p.parts)]
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def rows(out: Path, language: str, split: str) -> list[dict]:
    return [row for path in shard_paths(out, language, split) for row in pq.read_table(path).to_pylist()]


def test_every_flaw_is_counted(built: Path, tree: Tree) -> None:
    funnel = json.loads((built / "funnel.json").read_text("utf-8"))
    for (language, kind), expected in tree.expected.items():
        counts = Counter(rows_only(funnel[language][kind]))
        assert counts.pop("corrected_size") == tree.corrected[language, kind]
        assert counts.pop("corrected_url") == 1  # file:///etc/passwd
        assert counts == expected, (language, kind)


def rows_only(counts: dict[str, int]) -> dict[str, int]:
    """The counts without those of names that were found, which are of texts that may be duplicates."""
    return {name: n for name, n in counts.items() if not name.startswith("keywords_")}


def test_names_in_alt_texts_become_keywords(built: Path) -> None:
    funnel = json.loads((built / "funnel.json").read_text("utf-8"))
    found = [row for row in rows(built, "ar", "know") if row["keywords"]]
    assert 0 < len(found) <= funnel["ar"]["know"]["keywords_found"]
    assert all(name in row["text"] for row in found for name in row["keywords"])
    assert all(row["keywords"] is None for row in rows(built, "ar", "ling"))


def test_every_rejected_row_is_named(built: Path, tree: Tree) -> None:
    for (language, kind), expected in tree.expected.items():
        lines = (built / "rejects" / f"{language}-{kind}.jsonl").read_text("utf-8").splitlines()
        reasons = Counter(f"dropped_{json.loads(line)['reason']}" for line in lines)
        assert reasons == expected - Counter(kept=expected["kept"])
        assert all(json.loads(line)["where"] for line in lines)


def test_rows_are_what_the_release_says(built: Path, tree: Tree) -> None:
    found = {row["id"]: row for split in ("know", "know_test") for row in rows(built, "ar", split)}
    listed = [json.loads(line) for p in sorted(tree.root.glob("*_ar_image_text_pair_*")) for line in _sound_lines(p)]
    assert sum(record["img_id"] in found for record in listed) >= 40
    for record in listed:
        if (row := found.get(record["img_id"])) and record["captions"]["content"].startswith(TEXTS["ar"]):
            assert row["text"] == record["captions"]["content"]
            assert row["image"]["bytes"] == (tree.root / "ar/image_text_pair" / record["img_id"]).read_bytes()
            if record["labels"] is None:  # its url is file:///etc/passwd
                assert (row["image_url"], row["domain"], row["category"]) == (None, None, None)
            else:
                assert row["category"] == ["文化类", "民俗传统"]
                assert row["image_url"] == record["url"] and row["domain"] in record["url"]


def _sound_lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if line.startswith(b'{"img_id"') and line.endswith(b"}}}")]


def test_ling_has_the_translation(built: Path, tree: Tree) -> None:
    translated = {e["img_id"]: e["caption"] for e in json.loads((tree.root / "trans_th.json").read_text("utf-8"))}
    found = rows(built, "th", "ling") + rows(built, "th", "ling_test")
    assert len(found) == tree.expected["th", "ling"]["kept"]
    assert all(row["text"] == translated[row["id"]].strip() for row in found)


def test_it_loads(built: Path, tmp_path: Path) -> None:
    """Every image decodes to the size on record, through `datasets`, with our builder and without it."""
    for options in ({"path": "mella", "data_dir": str(built)}, {"path": str(built)}):
        dataset = load_dataset(name="ar", cache_dir=str(tmp_path), **options)
        assert {name: len(split) for name, split in dataset.items()} == dict(zip(SPLITS, [40, 40, 9, 9], strict=True))
        for split in dataset.values():
            assert all(row["image"].size == (row["width"], row["height"]) for row in split)


def test_splits_are_disjoint(built: Path) -> None:
    for language in LANGUAGES:
        ids = [row["id"] for split in SPLITS for row in rows(built, language, split)]
        assert len(ids) == len(set(ids)) == 98
        check_disjoint(built, language)


def test_the_card_says_what_was_left_out(built: Path) -> None:
    card = (built / "README.md").read_text("utf-8")
    assert "| `ar` | know | 49 | line_unreadable 3, caption_missing 2, id_invalid 2, " in card
    assert "and none by perceptual hash" in card


def test_one_process_or_many(built: Path, source: ReleaseSource, tmp_path: Path, monkeypatch) -> None:
    """Also in smaller units: how the work is cut does not show."""
    build_dataset(source, tmp_path / "two", workers=2, progress=False)
    assert fingerprint(tmp_path / "two") == fingerprint(built)
    monkeypatch.setattr("mella_hf.sources.listings.UNIT_BYTES", 40_000)
    report = build_dataset(source, tmp_path / "small", workers=0, progress=False)
    assert report.ran > 50
    assert fingerprint(tmp_path / "small") == fingerprint(built)


def test_another_executor(built: Path, source: ReleaseSource, tmp_path: Path) -> None:
    """The seam for clusters; threads also show that nothing is shared that may not be."""
    with ThreadPoolExecutor(4) as executor:
        build_dataset(source, tmp_path, executor=executor, progress=False)
    assert fingerprint(tmp_path) == fingerprint(built)


def test_a_rerun_does_nothing_twice(built: Path, source: ReleaseSource) -> None:
    before = fingerprint(built)
    report = build_dataset(source, built, workers=0, progress=False)
    assert report.ran == 0 and report.skipped > 10
    assert fingerprint(built) == before


def test_languages_may_be_built_one_by_one(built: Path, tree: Tree, tmp_path: Path) -> None:
    for language in LANGUAGES:
        build_dataset(ReleaseSource(tree.root, (language,)), tmp_path, workers=0, progress=False)
    assert fingerprint(tmp_path) == fingerprint(built)


# Builds again and again, each time in a fork that kills itself at its n-th commit point, which is before or after
# a rename or a flush to disk, until a build comes to its end. Prints where each fork was killed, then "whole".
KILLED = """
import os, random, signal, sys
from itertools import count
from pathlib import Path
import mella_hf.sources.listings as listings
import mella_hf.sources.release as release
from mella_hf.dataset.building.build import build_dataset

listings.UNIT_BYTES = 400_000
points = count(1)

def mortal(call, n):
    def commit(*args, **options):
        for action in (lambda: None, lambda: call(*args, **options)):
            result = action()
            if next(points) == n:
                print("killed", *args, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        return result
    return commit

for run in count(1):
    n = random.Random(run).randrange(1, 2 * run + 1)
    if (pid := os.fork()) == 0:
        os.replace, os.fsync = mortal(os.replace, n), mortal(os.fsync, n)
        source = release.ReleaseSource(Path(sys.argv[1]), ("ar", "th"))
        build_dataset(source, sys.argv[2], workers=0, progress=False)
        print("whole", flush=True)
        os._exit(0)
    if os.waitpid(pid, 0)[1] != signal.SIGKILL:
        break
"""


def test_killed_at_any_moment(built: Path, tree: Tree, tmp_path: Path) -> None:
    """SIGKILL at a random point, further along on average each time; the result is that of an undisturbed build."""
    command = [sys.executable, "-c", KILLED, str(tree.root), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    *kills, end = done.stdout.splitlines()
    assert end == "whole", done.stderr
    for stage in (".build/source/", ".build/scan/", ".build/plan/", ".build/write/", "out/ar/"):
        assert any(stage in kill for kill in kills), f"no kill within {stage}"
    assert fingerprint(tmp_path / "out") == fingerprint(built)


def test_changed_listings_are_read_again(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 10, flaws=False, parts=1)
    source = ReleaseSource(tmp_path / "release", ("ar",))
    build_dataset(source, tmp_path / "out", workers=0, progress=False)
    listing = next((tmp_path / "release").glob("*text_pair*.jsonl"))
    listing.write_bytes(b"".join(listing.read_bytes().splitlines(keepends=True)[:5]))
    report = build_dataset(source, tmp_path / "out", workers=0, progress=False)
    assert rows_only(report.funnel["ar"]["know"]) == {"kept": 5} and report.funnel["ar"]["ling"] == {"kept": 10}
    assert len(rows(tmp_path / "out", "ar", "know")) + len(rows(tmp_path / "out", "ar", "know_test")) == 5


def test_the_test_split_stays_as_the_data_grows(tmp_path: Path) -> None:
    ids = {}
    for count in (60, 66):
        make_release(tmp_path / str(count), ("ar",), count, flaws=False, parts=1, images=lambda: generated(start=1))
        out = tmp_path / f"out{count}"
        build_dataset(ReleaseSource(tmp_path / str(count), ("ar",)), out, workers=0, progress=False, test_size=10)
        ids[count] = {row["id"] for row in rows(out, "ar", "know_test")}
        assert len(ids[count]) == 10
    assert len(ids[60] & ids[66]) >= 7  # six new rows can displace at most six


def test_shards_are_cut_by_size(source: ReleaseSource, built: Path, tmp_path: Path) -> None:
    build_dataset(source, tmp_path, workers=0, progress=False, shard_bytes=20_000)
    assert len(shard_paths(tmp_path, "ar", "know")) > 2
    for split in SPLITS:
        assert rows(tmp_path, "ar", split) == rows(built, "ar", split)


def test_without_verification(tree: Tree, tmp_path: Path) -> None:
    """The source is believed: damaged images stay, but missing ones do not, and the card says so."""
    clean = make_release(tmp_path / "release", ("ar",), 20, flaws=False)
    (next((clean.root / "ar/image_pure").iterdir())).unlink()
    source = ReleaseSource(clean.root, ("ar",))
    report = build_dataset(source, tmp_path / "out", workers=0, progress=False, verify=False)
    counts = {source: rows_only(some) for source, some in report.funnel["ar"].items()}
    assert counts == {"know": {"kept": 20}, "ling": {"kept": 19, "dropped_image_missing": 1}}
    assert "perceptual hashes were not compared" in (tmp_path / "out" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("change", [lambda data: data + b"+", lambda data: data[:-1]], ids=["grown", "shrunk"])
def test_an_image_that_changes_during_the_build(tmp_path: Path, verify: bool, change: Callable) -> None:
    """In the middle of a row group, where what is too much would run into the next image."""
    make_release(tmp_path / "release", ("ar",), 4, flaws=False, parts=1)
    source = _Changing(tmp_path / "release", ("ar",), change)
    with pytest.raises(MellaError, match=r"The image [0-9a-f]{12} .* changed during the build\. Run it again"):
        build_dataset(source, tmp_path / "out", workers=0, progress=False, verify=verify, test_size=0)


@dataclass(frozen=True)
class _Changing(ReleaseSource):
    """A source that changes the second image of every unit once it was scanned."""

    change: Callable[[bytes], bytes]

    def scan(self, unit):
        found = list(super().scan(unit))
        yield from found
        path = Path(self.image(unit, found[1].locator))
        path.write_bytes(self.change(path.read_bytes()))


@pytest.mark.parametrize("verify", [True, False])
def test_an_image_file_that_is_too_large(tmp_path: Path, verify: bool) -> None:
    make_release(tmp_path / "release", ("ar",), 2, flaws=False, parts=1)
    with open(next((tmp_path / "release/ar/image_pure").iterdir()), "ab") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    source = ReleaseSource(tmp_path / "release", ("ar",))
    report = build_dataset(source, tmp_path / "out", workers=0, progress=False, verify=verify)
    assert report.funnel["ar"]["ling"] == {"kept": 1, "dropped_image_file_too_large": 1}


@pytest.mark.parametrize(
    ("take_away", "message"),
    [
        ("*_ar_*.jsonl", r"holds no listing of 'ar': expected \*_ar_image_text_pair_\*\.jsonl"),
        ("trans_ar.json", r"lists image_pure images of 'ar' but has no trans_ar\.json"),
    ],
)
def test_a_release_that_is_none(tmp_path: Path, take_away: str, message: str) -> None:
    make_release(tmp_path / "release", ("ar",), 4, flaws=False)
    for path in (tmp_path / "release").glob(take_away):
        path.unlink()
    with pytest.raises(MellaError, match=message):
        build_dataset(ReleaseSource(tmp_path / "release", ("ar",)), tmp_path / "out", workers=0, progress=False)


def test_a_cut_translation_file_is_named(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 4, flaws=False)
    path = tmp_path / "release" / "trans_ar.json"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(MellaError, match=r"trans_ar\.json is not JSON from about character"):
        build_dataset(ReleaseSource(tmp_path / "release", ("ar",)), tmp_path / "out", workers=0, progress=False)


def test_a_killer_is_named(tmp_path: Path) -> None:
    make_release(tmp_path / "release", ("ar",), 4, flaws=False)
    with pytest.raises(StageError, match="ar-know-.* killed every worker that tried"):
        build_dataset(_Killer(tmp_path / "release", ("ar",)), tmp_path / "out", workers=1, progress=False)


class _Killer(ReleaseSource):
    """A source whose first unit brings every worker down."""

    def scan(self, unit):
        if unit.source == "know":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().scan(unit)


@pytest.fixture
def mella() -> typer.Typer:
    app = typer.Typer()
    app.command()(build)
    return app


def test_the_command(mella: typer.Typer, tree: Tree, built: Path, tmp_path: Path) -> None:
    arguments = [str(tree.root), "--source", "release", "--languages", "ar,th", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(mella, [*arguments, "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert "ar know: kept 49; left out 20\n  3  line_unreadable  " in result.output
    assert ": captions.lang is 'en'\n" in result.output  # what is wrong, with the place of an example
    assert f"8 files in {tmp_path / 'out'}" in result.output
    assert fingerprint(tmp_path / "out") == fingerprint(built)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--source", "release", "--languages", "xx"], UnknownLanguageError, "Unknown language 'xx'; choose one of ar"),
        (["--source", "hf", "--languages", "ar,th"], MellaError, "reads one language at a time"),
        (["--source", "hf", "--languages", "ar", "--column", "page_url"], MellaError, "has no"),
    ],
)
def test_bad_flags(mella: typer.Typer, tmp_path: Path, arguments: list, error: type, message: str) -> None:
    result = CliRunner().invoke(mella, [str(tmp_path), "--out", str(tmp_path / "out"), *arguments])
    assert isinstance(result.exception, error) and message in str(result.exception)


def test_a_folder_that_is_none(mella: typer.Typer, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "no"), "--source", "release", "--languages", "ar", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(mella, arguments)
    assert isinstance(
        result.exception, MellaError
    ) and "is not a folder; give the folder that --source release reads" in str(result.exception)
