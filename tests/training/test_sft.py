"""A run: only LoRA on the language model trains, a killed run ends with the weights of an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kill_points import killed_at
from sft_runs import flags, weights_in

from mella_hf.errors import MellaError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.checkpoints import COMPLETE, claim, last_checkpoint, remove_incomplete, sole_use
from mella_hf.training.sft import train

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "sft.py"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path, tiny_dataset: Path) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, out)))
    return out


def test_it_learns_with_lora_on_the_language_model_only(undisturbed: Path) -> None:
    record = json.loads((undisturbed / "training.json").read_text())
    assert record["samples"] == {"know": 13, "ling": 9}
    assert {part for part, n in record["parameters"].items() if n["trainable"]} == {"language_model"}
    losses = [entry["loss"] for entry in record["log_history"] if "loss" in entry]
    assert len(losses) == 8
    assert losses[-1] < losses[0]


def test_the_adapter_loads_with_peft_and_changes_the_answer(undisturbed: Path, tiny_qwen2vl: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    base = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl)
    ids = torch.tensor([[40, 41, 42]])
    before = base(input_ids=ids).logits
    tuned = PeftModel.from_pretrained(base, undisturbed / "adapter")
    assert not torch.equal(tuned(input_ids=ids).logits, before)
    assert AutoProcessor.from_pretrained(undisturbed / "adapter").tokenizer.eos_token == "<|im_end|>"


def test_a_finished_run_is_not_run_again(undisturbed: Path, tiny_qwen2vl: Path, tiny_dataset: Path) -> None:
    before = (undisturbed / "training.json").stat().st_mtime_ns
    train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, undisturbed)))
    assert (undisturbed / "training.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_weights(
    undisturbed: Path, tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, str(SCRIPT), *flags(tiny_qwen2vl, tiny_dataset, out)]
    environment = killed_at("/run/checkpoint-4/trainer_state.json", dict(os.environ))
    assert subprocess.run(command, start_new_session=True, env=environment).returncode == -signal.SIGKILL
    assert not (out / "training.json").exists()
    assert last_checkpoint(out) == out / "checkpoint-2" and any((out / "checkpoint-4").iterdir())  # half a save
    train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, out)))
    assert weights_in(out) == weights_in(undisturbed)


def test_killed_after_its_last_step_it_takes_no_step_more(
    undisturbed: Path, tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    (out / "training.json").unlink()
    shutil.rmtree(out / "adapter")
    train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, out)))
    assert weights_in(out) == weights_in(undisturbed)


def test_other_settings_need_another_folder(undisturbed: Path, tiny_qwen2vl: Path, tiny_dataset: Path) -> None:
    with pytest.raises(MellaError, match=r"holds a run with other settings: lora_r was 4 and is now 2\."):
        train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, undisturbed, lora_r=2)))


def test_a_run_that_saved_nothing_has_no_claim_to_its_folder(tmp_path: Path) -> None:
    """A setting that was refused after the folder was claimed is mended, and the same command given again."""
    claim(tmp_path, {"lora_r": 4}, overwrite=False)
    claim(tmp_path, {"lora_r": 8}, overwrite=False)
    (tmp_path / "checkpoint-2").mkdir()
    with pytest.raises(MellaError, match="lora_r was 8 and is now 4"):
        claim(tmp_path, {"lora_r": 4}, overwrite=False)


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    script = "import sys; from mella_hf.training.checkpoints import *; from pathlib import Path\n"
    script += "with sole_use(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"in\n"
        with pytest.raises(MellaError, match=r"run is in use by a training run: process \d+ on .*, since 20"):
            with sole_use(tmp_path / "run"):
                pass
        other.kill()
    with sole_use(tmp_path / "run"):
        pass


def test_incomplete_checkpoints_do_not_count(tmp_path: Path) -> None:
    for step, whole in ((2, True), (10, True), (12, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if whole:
            (tmp_path / f"checkpoint-{step}" / COMPLETE).touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    remove_incomplete(tmp_path)
    assert not (tmp_path / "checkpoint-12").exists()


def test_the_script_ends_with_one_line(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), "--languages", "xx"], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("error: Unknown language 'xx'; choose one of ar, cs")
