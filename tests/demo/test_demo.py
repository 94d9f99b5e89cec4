"""The demo: killed between and within its stages, it ends with the files of an undisturbed run, bit for bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cldr_folder import make_source
from demo_driver import SCALE
from kill_points import killed_at

from mella_hf.demo.run import DemoPaths, launch_sft, prepare, run_demo
from mella_hf.errors import MellaError

DRIVER = Path(__file__).with_name("demo_driver.py")


def run(source: Path, out: Path, kill_at: str | None = None) -> int:
    """The exit status of a demo, which SIGKILL may end before it writes or renames a file whose path matches."""
    environment = {**os.environ, "HF_DATASETS_CACHE": str(out.parent / "cache"), "OMP_NUM_THREADS": "1"}
    if kill_at:
        environment = killed_at(kill_at, environment)
    with open(out.with_suffix(".log"), "ab") as log:
        command = [sys.executable, str(DRIVER), str(source), str(out)]
        return subprocess.run(command, stdout=log, stderr=log, start_new_session=True, env=environment).returncode


def results(out: Path) -> dict[str, bytes]:
    """The files that count: dataset, base, adapter, answers, scores."""
    wanted = ["mella/**/*.parquet", "mella/*.json", "mella/README.md", "mella/rejects/*", "**/base/model/*.safetensors"]
    wanted += ["ar/train/adapter/*.safetensors", "ar/evaluation/predictions/*/*.jsonl", "ar/adapter/*.safetensors"]
    return {str(p.relative_to(out)): p.read_bytes() for pattern in wanted for p in sorted(out.glob(pattern))}


@pytest.mark.slow
def test_killed_anywhere_it_ends_the_same(tmp_path: Path) -> None:
    source, out = make_source(tmp_path / "source"), tmp_path / "demo"
    assert run(source, out) == 0, out.with_suffix(".log").read_text("utf-8")[-3000:]
    expected = results(out)
    kinds = {name.split("/")[0] + "/" + name.split("/")[1] for name in expected}
    assert {"mella/ar", "base/model", "ar/base", "ar/train", "ar/evaluation", "ar/adapter"} <= kinds
    assert (out / "ar/evaluation/report.html").exists()
    out.rename(tmp_path / "undisturbed")

    for point in (
        "/.dataset/.partial/",  # the records are whole and not published
        "/demo/base/english/checkpoint-4/trainer_state.json",  # within the base's training, with half a checkpoint
        "/ar/base/reading/checkpoint-4/trainer_state.json",  # while it reads the language
        "/ar/base/.pretrain.json",  # after its training
        "/ar/train/checkpoint-4/trainer_state.json",  # within the adapter's
        "/ar/evaluation/predictions/base/ling_test.*partial",  # within the answers
    ):
        assert run(source, out, point) == -signal.SIGKILL, f"it was not killed at {point}"
    assert not (out / "ar/adapter").exists()
    assert run(source, out) == 0, out.with_suffix(".log").read_text("utf-8")[-3000:]
    found = results(out)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize("code", ["ar", "ka", "th"])
def test_an_adapter_is_trained_in_unlike_scripts(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    paths = DemoPaths(tmp_path / "demo", code)
    prepare(paths, make_source(tmp_path / "source"), 1, SCALE.budget)
    launch_sft(paths, ("--max_steps", "2", "--save_steps", "2", "--per_device_train_batch_size", "4"))
    training = json.loads((paths.run / "training.json").read_text("utf-8"))
    assert training["settings"]["languages"] == [code] and set(training["samples"]) == {"know", "ling"}
    assert (paths.run / "adapter" / "adapter_model.safetensors").is_file()
    card = (paths.dataset / "README.md").read_text("utf-8")
    assert "Copyright © 1991-2022 Unicode, Inc." in card and "SIL Open Font License" in card
    assert "Unicode-DFS-2016 AND OFL-1.1" in card


def test_errors_come_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="Unknown language 'xx'; choose one of ar, cs, hu, ko, ru, sr, th, vi"):
        run_demo("xx", tmp_path / "out")
    with pytest.raises(MellaError, match=r"There is no .*nowhere/.*en\.xml\. Unpack the Debian packages"):
        run_demo("ar", tmp_path / "out", tmp_path / "nowhere")
    with pytest.raises(MellaError, match="CLDR names no pictures in 'ru'"):
        run_demo("ru", tmp_path / "out", make_source(tmp_path / "source"))
    assert not (tmp_path / "out").exists()
