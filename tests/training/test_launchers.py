"""Launcher configurations: accelerate's own parser and plugins take them, and they say what they should."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model

from mella_hf.errors import MellaError
from mella_hf.training.checkpoints import check_sharding

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "accelerate"
FILES = sorted(FOLDER.glob("*.yaml"))


def launched(name: str) -> Any:
    """The arguments with which `accelerate launch --config_file NAME recipes/sft.py` would start its processes."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    path = FOLDER / f"{name}.yaml"
    parsed = launch_command_parser().parse_args(["--config_file", str(path), "recipes/sft.py", "--config", "x.yaml"])
    args, defaults, _ = _validate_launch_command(parsed)
    assert defaults is not None, "the file was read"
    return args


def test_all_are_there() -> None:
    names = {path.stem for path in FILES}
    assert names == {"one_gpu", "ddp", "fsdp2", "zero1", "zero2", "zero3", "multi_node", "cpu", "cpu_two"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_accelerate_reads_every_key(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its loader exits on an unknown key; the launcher warns of every value that it had to guess."""
    args = launched(path.stem)
    config = yaml.safe_load(path.read_text())
    assert args.num_processes == config["num_processes"]
    assert str(args.mixed_precision) == config["mixed_precision"]
    assert "default values" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "kind", "machines"),
    [("ddp", "multi_gpu", 1), ("multi_node", "multi_gpu", 2), ("cpu_two", "multi_gpu", 1), ("fsdp2", "use_fsdp", 1)],
)
def test_several_processes_are_really_launched(name: str, kind: str, machines: int) -> None:
    args = launched(name)
    assert getattr(args, kind) is True
    assert (args.num_machines, args.num_processes > 1) == (machines, True)
    assert (args.main_process_ip is not None) == (machines > 1)


def test_fsdp2_as_accelerates_plugin_understands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.launch import prepare_multi_gpu_env
    from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

    environment = prepare_multi_gpu_env(launched("fsdp2"))
    for key, value in environment.items():
        if key not in os.environ:
            monkeypatch.setenv(key, str(value))
    plugin = FullyShardedDataParallelPlugin()
    assert (plugin.fsdp_version, plugin.reshard_after_forward) == (2, True)
    assert plugin.auto_wrap_policy is transformer_auto_wrap_policy
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_deepspeed_as_accelerates_plugin_understands_it(stage: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin builds DeepSpeed's configuration; with DeepSpeed installed, test_two_processes.py trains by it."""
    from accelerate.utils import DeepSpeedPlugin

    args = launched(f"zero{stage}")
    assert args.use_deepspeed
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", str(args.zero_stage))
    plugin = DeepSpeedPlugin(
        zero_stage=args.zero_stage,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        gradient_clipping=args.gradient_clipping,
        offload_optimizer_device=args.offload_optimizer_device,
        offload_param_device=args.offload_param_device,
        zero3_init_flag=str(args.zero3_init_flag).lower() == "true",
        zero3_save_16bit_model=str(args.zero3_save_16bit_model).lower() == "true",
    )
    config = plugin.deepspeed_config
    assert config["zero_optimization"]["stage"] == stage
    assert config["gradient_clipping"] == "auto"  # filled in from the recipe's max_grad_norm
    assert config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] == (stage == 3)


@pytest.mark.parametrize(("installed", "fsdp", "adapter"), [("1.14.0", 2, True), ("1.15.0", 2, True),
                                                            ("1.14.0", 1, True), ("1.14.0", 2, False)])  # fmt: skip
def test_fsdp2_needs_an_accelerate_that_saves_whole_adapters(
    installed: str, fsdp: int, adapter: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """accelerate 1.10 to 1.14 save the first process' part alone: what is in its file of 1.14 was read."""
    monkeypatch.setattr("mella_hf.compat.version", lambda package: installed)
    state = SimpleNamespace(fsdp_plugin=SimpleNamespace(fsdp_version=fsdp))
    model = LoraConfig(target_modules="all-linear")
    whole = torch.nn.Sequential(torch.nn.Linear(2, 2))
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(state=state),
        is_fsdp_enabled=True,
        model=get_peft_model(whole, model) if adapter else whole,
    )
    if (installed, fsdp, adapter) == ("1.14.0", 2, True):
        with pytest.raises(MellaError, match="hold only a part of the adapter.*'accelerate>=1.15'.*zero2"):
            check_sharding(trainer)
    else:
        check_sharding(trainer)
