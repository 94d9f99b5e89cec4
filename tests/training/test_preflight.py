"""What a machine or a backbone cannot do is refused at the start, in one clear error."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.arguments.preflight import check_backbone
from mella_hf.training.arguments.settings import Settings

BASE = "max_length: null\nlanguages: [ar]\nuse_peft: true\nreport_to: none\nmodel_name_or_path: {model}\n{more}"


@pytest.fixture
def parse(tmp_path: Path) -> Any:
    def parse(more: str = "", model: Path | str = "x", use_cpu: bool = True) -> Any:
        recipe = tmp_path / "recipe.yaml"
        replaced = {line.split(":")[0] for line in more.splitlines()}
        kept = [line for line in BASE.splitlines() if line.split(":")[0] not in replaced]
        recipe.write_text("\n".join(kept).format(model=model, more=more))
        flags = ["--config", str(recipe), "--output_dir", str(tmp_path / "out"), "--use_cpu", str(use_cpu)]
        return parse_settings([*flags, *([] if "bf16" in more else ["--bf16", "false"])])

    return parse


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("load_in_8bit: true\nload_in_4bit: true", "can't use 8 bit and 4 bit"),
        ("load_in_4bit: true\nuse_peft: false", "load_in_4bit needs use_peft: true"),
        ("attn_implementation: flash_attention_2", "'flash_attention_2', which needs a GPU with CUDA.*Set it to sdpa"),
        ("attn_implementation: flash", "'flash'; choose among eager, flash_attention_2, .*sdpa"),
        ("lora_scope: [decoder]", r"lora_scope is \['decoder'\]; choose among language_model, projector, vision_tower"),
        ("lora_scope: []", r"lora_scope is \[\]; choose among"),
        ("min_pixels: 5000\nmax_pixels: 4000", "min_pixels is 5000, which is more than max_pixels, 4000"),
        ("gradient_checkpointing: true\nbf16: true\nfp16: true", "settings are refused: .*fp16 and bf16"),
        ("report_to: wandb", "report_to is 'wandb': .*[Rr]un `?pip install wandb.*Or set report_to: none"),
        ("report_to: [none, tensorbord]", "report_to: (none|tensorbord) is not supported, only .*tensorboard"),
        ("dtype: bf16", "dtype is 'bf16'; choose among auto, bfloat16, float16, float32"),
        ("lr_scheduler_kwargs: {num_cycles: 2}", "lr_scheduler_kwargs is .*, which lr_scheduler_type linear refuses"),
        ("activation_offloading: true", "activation_offloading is true, which needs a GPU"),
        ("pad_to_multiple_of: 8", "pad_to_multiple_of is 8, but does nothing here: TRL cannot do it"),
        ("dataloader_persistent_workers: true", "dataloader_num_workers is 0; set it to 1"),
        ("hub_model_id: a/b", "hub_model_id is 'a/b', but does nothing here: `mella push` uploads"),
        ("gradient_checkpointing_kwargs: x", "kwargs is 'x'; give a mapping"),
        ("bnb_4bit_quant_type: int4", "bnb_4bit_quant_type is 'int4'; choose among nf4, fp4"),
    ],
)  # fmt: skip
def test_refused_at_the_start(parse: Any, more: str, message: str) -> None:
    with pytest.raises(MellaError, match=message):
        parse(more)


def test_settings_that_can_work_pass(parse: Any) -> None:
    parse("lr_scheduler_type: cosine_with_restarts\nlr_scheduler_kwargs: {num_cycles: 2}")


def test_a_package_of_a_setting_that_is_missing(parse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.utils.is_liger_kernel_available", lambda: False)
    with pytest.raises(MellaError, match="use_liger_kernel is true, but its package is missing"):
        parse("use_liger_kernel: true")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says it has a GPU."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def settings_on_gpu(parse: Any, more: str, check: Any) -> None:
    """Run the check with use_cpu off; transformers itself would look for a real GPU while parsing."""
    settings = parse()
    for line in more.splitlines():
        key, value = line.split(": ")
        setattr(settings.model, key, {"true": True}.get(value, value))
    settings.training.use_cpu = False
    check(settings.data, settings.model, settings.training)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ("load_in_4bit: true", MissingExtraError, r"'bitsandbytes', which is not installed.*mella_hf\[qlora\]"),
        ("attn_implementation: flash_attention_2", MellaError, "package is not installed. Install flash-attn"),
        ("attn_implementation: kernels-community/flash-attn2", MellaError, "not installed. Install kernels"),
    ],
)
def test_packages_that_are_missing(
    parse: Any, monkeypatch: pytest.MonkeyPatch, more: str, error: type, message: str
) -> None:
    from mella_hf.training.arguments.preflight import check_machine

    monkeypatch.setattr("transformers.utils.is_bitsandbytes_available", lambda: False)
    for name in ("is_flash_attn_2_available", "is_kernels_available"):
        monkeypatch.setattr(f"transformers.utils.import_utils.{name}", lambda: False)
    with pytest.raises(error, match=message):
        settings_on_gpu(parse, more, check_machine)


@pytest.mark.usefixtures("gpu")
def test_flash_attention_in_float32_is_refused_and_in_bfloat16_not(parse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mella_hf.training.arguments.preflight import check_machine

    monkeypatch.setattr("transformers.utils.import_utils.is_flash_attn_2_available", lambda: True)
    flash = "attn_implementation: flash_attention_2"
    with pytest.raises(MellaError, match="cannot compute in float32; set dtype: bfloat16"):
        settings_on_gpu(parse, f"{flash}\ndtype: float32", check_machine)
    settings_on_gpu(parse, f"{flash}\ndtype: bfloat16", check_machine)


def test_bf16_without_a_gpu_is_refused(parse: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, which computes in bfloat16")
    with pytest.raises(MellaError, match="settings are refused: .*bf16"):
        parse("bf16: true", use_cpu=False)


def test_what_a_cpu_can_do_passes(parse: Any) -> None:
    settings = parse("bf16: true\ngradient_checkpointing: true\nattn_implementation: sdpa\ndtype: bfloat16")
    assert settings.training.bf16 and settings.training.gradient_checkpointing


def check(settings: Settings) -> None:
    check_backbone(settings.model)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert"}, "The model type 'bert' is not an image-text-to-text model of transformers"),
        ({"model_type": "internvl_chat", "auto_map": {}}, "cannot be read .*convert it first: mella convert-internvl2"),
        (None, "The backbone '.*' cannot be read .*give a folder with config.json"),
    ],
)
def test_a_backbone_that_is_none(parse: Any, tmp_path: Path, config: Any, message: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(MellaError, match=message):
        check(parse(model=tmp_path))


def test_a_reporter_that_is_not_installed_is_told_before_tokens_are_counted(
    parse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if neither package were there
    monkeypatch.setattr("transformers.integrations.integration_utils.is_tensorboard_available", lambda: False)
    with pytest.raises(MissingExtraError, match=r"report_to: tensorboard needs .*mella_hf\[logging\]"):
        parse("report_to: tensorboard")
