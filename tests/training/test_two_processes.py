"""Two processes on the CPU: whole or sharded, they share the samples out and go on bit for bit after SIGKILL."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ports import reserved_port
from sft_runs import WEIGHTS, flags, weights_in

from mella_hf.compat import saves_whole_adapters
from mella_hf.training.checkpoints import last_checkpoint

ROOT = Path(__file__).resolve().parents[2]


def settings(model: Path, dataset: Path, out: Path) -> list[str]:
    return flags(model, dataset, out, max_steps=8, per_device_train_batch_size=2, source_weights='{"know":1,"ling":1}')


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path, tiny_dataset: Path) -> Path:
    """A run as users start it."""
    out = tmp_path_factory.mktemp("two") / "run"
    with reserved_port() as port:
        command = [
            sys.executable, "-m", "accelerate.commands.launch",
            "--config_file", str(ROOT / "recipes/accelerate/cpu_two.yaml"), "--main_process_port", str(port),
            str(ROOT / "recipes/sft.py"), *settings(tiny_qwen2vl, tiny_dataset, out),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def rank_main(
    rank: int, processes: int, port: int, arguments: list[str], die_after: int | None, sharding: str | None = None
) -> None:
    """One rank of a run, as the launcher would start it; gets SIGKILL after a step."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1",
    )  # fmt: skip
    if sharding is not None:
        os.environ.update(sharded_environment(sharding))
    from transformers import TrainerCallback

    from mella_hf.training import sft
    from mella_hf.training.arguments.parsing import parse_settings

    class Die(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == die_after:
                os.kill(os.getpid(), signal.SIGKILL)

    build = sft.build_trainer

    def build_and_add(settings: Any) -> Any:
        trainer, facts = build(settings)
        trainer.add_callback(Die())
        return trainer, facts

    sft.build_trainer = build_and_add
    settings = parse_settings(arguments)
    if sharding == "fsdp2":
        from accelerate import PartialState
        from accelerate.utils import DistributedType

        # torch shards on a CPU over gloo as it does on GPUs; accelerate takes that up on GPUs alone.
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    sft.train(settings)


def sharded_environment(name: str) -> dict[str, str]:
    """What the launcher of recipes/accelerate/NAME.yaml tells a process about sharding; DeepSpeed is to use the CPU."""
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
    from test_launchers import launched as launcher_arguments

    args = launcher_arguments(name)
    args.deepspeed_fields_from_accelerate_config = ""  # the launcher would list the file's keys, for its own errors
    made = prepare_deepspeed_cmd_env(args)[1] if args.use_deepspeed else prepare_multi_gpu_env(args)
    about = ("FSDP_", "ACCELERATE_USE_", "ACCELERATE_DEEPSPEED_", "ACCELERATE_GRADIENT_")
    return {key: str(value) for key, value in made.items() if key.startswith(about)} | {"DS_ACCELERATOR": "cpu"}


def run(
    arguments: list[str], die_after: int | None = None, processes: int = 2, sharding: str | None = None
) -> list[int]:
    """Exit codes of all ranks, started from a server that has imported what they need, so that it is imported once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mella_hf.training.trainer", "mella_hf.training.sft"])
    with reserved_port() as port:
        ranks = [
            context.Process(target=rank_main, args=(rank, processes, port, arguments, die_after, sharding))
            for rank in range(processes)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
    return [process.exitcode for process in ranks]


@pytest.mark.slow
def test_two_processes_share_the_samples_out(launched: Path) -> None:
    record = json.loads((launched / "training.json").read_text())
    assert record["samples"] == {"know": 13, "ling": 9}
    assert record["loss_share"] == {"know": 0.5, "ling": 0.5}
    assert record["settings"]["processes"] == 2
    # A step takes two samples on each of two ranks: 13 know are 3 rounds and a sample that joins one; 9 ling likewise
    # 2 and one: 5 steps an epoch, so 8 steps are 1.6 epochs.
    assert record["log_history"][-1]["epoch"] == pytest.approx(1.6)
    assert len(list((launched / "checkpoint-8").glob("rng_state_*.pth"))) == 2


@pytest.mark.slow
def test_killed_and_resumed_both_end_with_the_same_weights(
    launched: Path, tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path
) -> None:
    """Killed in the middle of the second epoch, whose order the loader's shards have to know again."""
    out = tmp_path / "run"
    assert run(settings(tiny_qwen2vl, tiny_dataset, out), die_after=7) == [-signal.SIGKILL] * 2
    assert last_checkpoint(out) == out / "checkpoint-6"
    assert not (out / "training.json").exists()
    assert run(settings(tiny_qwen2vl, tiny_dataset, out)) == [0, 0]
    assert weights_in(out) == weights_in(launched)


@pytest.mark.slow
def test_one_step_on_two_processes_is_the_same_step_as_on_one(
    tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path
) -> None:
    """All samples in one SGD step: the weights of the sources hold over ranks and accumulated batches."""
    import torch
    from safetensors.torch import load_file

    # 5 rounds of two batches of two, and 7 + 5 batches of two.
    for processes, batches in ((2, 5), (1, 12)):
        arguments = flags(
            tiny_qwen2vl, tiny_dataset, tmp_path / str(processes), max_steps=1, per_device_train_batch_size=2,
            gradient_accumulation_steps=batches, source_weights='{"know":3,"ling":1}', optim="sgd", learning_rate=1,
            lr_scheduler_type="constant", max_grad_norm=0, lora_dropout=0, weight_decay=0,
        )  # fmt: skip
        assert run(arguments, processes=processes) == [0] * processes
    two, one = (load_file(tmp_path / name / WEIGHTS) for name in "21")
    moved = {name for name, value in one.items() if value.abs().max() > 1e-4 and "lora_B" in name}
    assert moved, "LoRA's B starts at 0"
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_stream_on_two_processes(tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path) -> None:
    out = tmp_path / "run"
    arguments = [*settings(tiny_qwen2vl, tiny_dataset, out), "--streaming", "true"]
    assert run(arguments) == [0, 0]
    assert json.loads((out / "training.json").read_text())["streamed"] is True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sharding", "trace"), [("fsdp2", "pytorch_model_fsdp.bin"), ("zero2", "global_step4"), ("zero3", "global_step4")]
)
def test_sharded_it_takes_the_same_steps_and_goes_on_after_sigkill(
    sharding: str, trace: str, launched: Path, tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path
) -> None:
    """Half of the parameters, gradients or optimizer states on each: the same weights as on two whole copies."""
    if sharding != "fsdp2" and not find_spec("deepspeed"):
        pytest.skip("DeepSpeed is not installed: make test runs this in .venv-quantized")
    if sharding == "fsdp2" and not saves_whole_adapters():
        assert run(settings(tiny_qwen2vl, tiny_dataset, tmp_path / "run"), sharding=sharding) == [1, 1]
        assert not list(tmp_path.glob("run/checkpoint-*")), "refused before the first step"
        return
    from safetensors.torch import load_file
    from torch.testing import assert_close

    out = tmp_path / "run"
    assert run(settings(tiny_qwen2vl, tiny_dataset, out), die_after=5, sharding=sharding) == [-signal.SIGKILL] * 2
    assert last_checkpoint(out) == out / "checkpoint-4"
    assert (out / "checkpoint-4" / trace).exists(), "it was sharded"
    watched = ["--watch_steps", "8", "--watch_samples", "2", "--watch_new_tokens", "3"]
    assert run([*settings(tiny_qwen2vl, tiny_dataset, out), *watched], sharding=sharding) == [0, 0]
    assert_close(load_file(out / WEIGHTS), load_file(launched / WEIGHTS), rtol=1e-4, atol=1e-6)
    log = json.loads((out / "training.json").read_text())["log_history"]
    assert any("watch/ar/know_meteor" in entry for entry in log), "sharded, it answers too"
