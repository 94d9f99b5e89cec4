"""A dataset with one of the two sources: what the run asks for and does not find is named, with what to do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sft_runs import flags

from mella_hf.errors import MellaError
from mella_hf.training.splits import MissingSplitError, load_source
from mella_hf.training.watch import watch_set


@pytest.fixture
def know_only(tiny_dataset: Path, tmp_path: Path) -> Path:
    """The dataset without `ling`, with a card as anybody would write it."""
    folder = Path(shutil.copytree(tiny_dataset, tmp_path / "data"))
    for path in folder.rglob("ling*.parquet"):
        path.unlink()
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: ar\n  data_files:\n  - split: know\n    path: ar/know-*.parquet\n---\n", "utf-8"
    )
    return folder


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("builder", ["ours", "plain"])
def test_a_missing_source_is_named(builder: str, streaming: bool, know_only: Path) -> None:
    name, data_dir = ("mella", str(know_only)) if builder == "ours" else (str(know_only), None)
    options = {"streaming": True} if streaming else {}
    with pytest.raises(MissingSplitError, match=r"'ar' has no split 'ling' .*know.* --sources know") as caught:
        load_source(name, data_dir, "ar", "ling", **options)
    assert "\n" not in str(caught.value)
    assert next(iter(load_source(name, data_dir, "ar", "know", **options)))["source"] == "know"


@pytest.mark.parametrize("builder", ["ours", "plain"])
def test_the_watch_looks_at_what_is_there(builder: str, know_only: Path) -> None:
    name, data_dir = ("mella", str(know_only)) if builder == "ours" else (str(know_only), None)
    assert set(watch_set(name, data_dir, ["ar"], 2, 0)) == {("ar", "know")}


def test_a_split_without_a_row_is_named(know_only: Path) -> None:
    import pyarrow.parquet as pq

    for path in know_only.rglob("know-*.parquet"):
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(MellaError, match="The split 'know' of 'ar' is empty; build it, or remove the source"):
        load_source("mella", str(know_only), "ar", "know")


def test_other_errors_stay_what_they_are(know_only: Path) -> None:
    with pytest.raises(MellaError) as caught:
        load_source("mella", str(know_only), "cs", "know")
    assert not isinstance(caught.value, MissingSplitError)


def test_the_command_says_it_in_one_line(know_only: Path, tiny_qwen2vl: Path, tmp_path: Path) -> None:
    _, recipe, *more = flags(tiny_qwen2vl, know_only, tmp_path / "run")
    command = [sys.executable, "-m", "mella_hf", "train", recipe, *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert "--sources know" in done.stderr.strip().splitlines()[-1]
