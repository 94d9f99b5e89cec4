"""Runs that break: one message that names the step and the checkpoint, from which the same command really goes on."""

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sft_runs import flags, weights_in

from mella_hf.errors import TrainingError
from mella_hf.training import sft
from mella_hf.training.arguments.parsing import parse_settings

STEP = 4  # at which it breaks; checkpoints are saved every second step


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path, tiny_dataset: Path) -> str:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    sft.train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, out, max_steps=6)))
    return weights_in(out)


@pytest.fixture
def broken(tiny_qwen2vl: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Trains in a folder, with something happening before or after a step; returns the error."""
    from transformers import TrainerCallback

    def run(out: Path, event: str, step: int, happen: Callable[[Any], None], **more: Any) -> str:
        class Happen(TrainerCallback):
            pass

        def on(self: Any, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step == step:
                happen(model)

        setattr(Happen, event, on)
        build = sft.build_trainer

        def build_and_add(settings: Any) -> Any:
            trainer, facts = build(settings)
            trainer.add_callback(Happen())
            return trainer, facts

        with monkeypatch.context() as patched, pytest.raises(TrainingError) as caught:
            patched.setattr(sft, "build_trainer", build_and_add)
            sft.train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, out, max_steps=6, **more)))
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
        return str(caught.value)

    return run


@pytest.fixture
def go_on(tiny_qwen2vl: Path, tiny_dataset: Path, undisturbed: str) -> Callable[[Path], None]:
    """The same command again; it ends with the weights of a run that nothing disturbed."""

    def run(out: Path) -> None:
        assert not (out / "training.json").exists()
        sft.train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, out, max_steps=6)))
        assert weights_in(out) == undisturbed

    return run


def poison(model: Any) -> None:
    """One weight that is no number, as an overflow leaves it."""
    next(p for n, p in model.named_parameters() if "lora_B" in n).data.view(-1)[0] = float("nan")


def test_a_loss_that_is_no_number(tmp_path: Path, broken: Any, go_on: Any) -> None:
    message = broken(tmp_path / "run", "on_step_begin", STEP, poison)
    assert message.startswith("The loss is nan at step 4. Lower learning_rate")
    assert f"The last usable checkpoint is {tmp_path}/run/checkpoint-4; the same command resumes from it." in message
    go_on(tmp_path / "run")


def test_a_gradient_that_is_no_number(tmp_path: Path, broken: Any) -> None:
    """It would be found in the next step's loss, with a checkpoint of broken weights saved in between."""

    def spoil(model: Any) -> None:
        parameter = next(p for n, p in model.named_parameters() if "lora_B" in n)
        parameter.register_hook(lambda gradient: gradient + float("inf"))

    message = broken(tmp_path / "run", "on_step_begin", 1, spoil)
    assert message.startswith("The gradient's norm is inf at step 1.")
    assert message.endswith("No checkpoint was saved yet, so the same command starts again.")
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_out_of_the_cpus_memory(tmp_path: Path, broken: Any) -> None:
    import torch

    message = broken(tmp_path / "run", "on_step_begin", 3, lambda model: torch.empty(2**60, dtype=torch.int8))
    assert message.startswith("Out of memory (")
    assert "at step 3. Set gradient_checkpointing: true" in message
    assert "checkpoint-2; the same command resumes from it." in message


def test_out_of_the_gpus_memory(tmp_path: Path, broken: Any) -> None:
    """A stand-in: the error that torch raises, without a GPU to raise it."""
    import torch

    def refuse(model: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    message = broken(tmp_path / "run", "on_step_begin", 0, refuse)
    assert message.startswith("Out of memory (CUDA out of memory. Tried to allocate 2.00 GiB.) at step 0. Set gradient")


def test_a_worker_that_was_killed(tmp_path: Path, broken: Any) -> None:
    """As Linux does when the machine's memory runs out."""

    def kill(model: Any) -> None:
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGKILL)
            os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # gone, and still there to be noticed

    message = broken(tmp_path / "run", "on_step_begin", 1, kill, dataloader_num_workers=1)
    assert message.startswith("A worker died (DataLoader worker")
    saved = any((tmp_path / "run").glob("checkpoint-*/complete"))  # batches that were ready let it take steps meanwhile
    onwards = "The last usable checkpoint is" if saved else "No checkpoint was saved yet"
    assert f"lower dataloader_num_workers. {onwards}" in message


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all of the disk but a few kilobytes, as another program would."""
    path = disk / "filler"
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
        file.truncate(file.tell() - 3 * 4096)
    return path


@pytest.mark.parametrize(
    ("event", "step", "what", "checkpoint"),
    [
        ("on_step_begin", 3, "Saving the checkpoint failed", "checkpoint-2"),  # in the save of step 4
        ("on_train_end", 6, "Saving the adapter failed", "checkpoint-6"),
    ],
)
def test_a_full_disk(
    small_disk: Path, broken: Any, go_on: Any, event: str, step: int, what: str, checkpoint: str
) -> None:
    message = broken(small_disk / "run", event, step, lambda model: fill(small_disk))
    assert message.startswith(what)
    assert "No space left on device" in message
    assert "If the disk is full, free some space" in message
    assert f"{small_disk}/run/{checkpoint}; the same command resumes from it." in message
    (small_disk / "filler").unlink()
    go_on(small_disk / "run")
