"""QLoRA for real, on a CPU: a base of four bits a weight; the adapter on it trains, resumes and is plain LoRA."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sft_runs import WEIGHTS, flags, weights_in

from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.sft import load_backbone, train

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: make test runs this in .venv-quantized")

# The 16 values of NormalFloat4: Dettmers et al. 2023, QLoRA, arXiv 2305.14314, appendix E.
NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip
BLOCK = 64  # weights that share a scale, section 3
LAYER = "model.language_model.layers.0.mlp.gate_proj"


def arguments(model: Path, dataset: Path, out: Path, **more: Any) -> list[str]:
    """Flags of QLoRA as a GPU's recipe would have them."""
    wanted = {
        "dtype": "bfloat16",
        "bf16": "true",
        "gradient_checkpointing": "true",
        "load_in_4bit": "true",
        "max_steps": 4,
    }
    return flags(model, dataset, out, **{**wanted, **more})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path, tiny_dataset: Path) -> Path:
    out = tmp_path_factory.mktemp("qlora") / "run"
    train(parse_settings(arguments(tiny_qwen2vl, tiny_dataset, out)))
    return out


def test_the_base_is_in_normal_float(tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path) -> None:
    """Each block's greatest weight is its scale, and every weight the nearest of sixteen values."""
    from bitsandbytes.functional import dequantize_4bit
    from transformers import AutoModelForImageTextToText

    wide = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl, dtype=torch.float32).get_submodule(LAYER).weight
    settings = parse_settings(arguments(tiny_qwen2vl, tiny_dataset, tmp_path / "run", dtype="float32", bf16="false"))
    narrow = load_backbone(settings.model).get_submodule(LAYER).weight
    assert narrow.nbytes == wide.numel() / 2
    blocks = wide.detach().reshape(-1, BLOCK)
    scale = blocks.abs().amax(1, keepdim=True)
    values = torch.tensor(NF4)
    nearest = values[(blocks[..., None] / scale[..., None] - values).abs().argmin(-1)] * scale
    torch.testing.assert_close(dequantize_4bit(narrow.data, narrow.quant_state).reshape(-1, BLOCK), nearest)


def test_it_learns_and_counts_weights_and_not_bytes(run: Path, tiny_qwen2vl: Path) -> None:
    from transformers import AutoModelForImageTextToText

    record = json.loads((run / "training.json").read_text())
    losses = [entry["loss"] for entry in record["log_history"] if "loss" in entry]
    assert losses[-1] < losses[0]
    parameters = record["parameters"]
    assert {part for part, count in parameters.items() if count["trainable"]} == {"language_model"}
    plain = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl)
    without_adapter = sum(count["total"] - count["trainable"] for count in parameters.values())
    assert without_adapter == sum(p.numel() for p in plain.parameters())


def test_resumed_it_ends_with_the_same_weights(
    run: Path, tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    for later in ("adapter", "checkpoint-4"):
        shutil.rmtree(out / later)
    (out / "training.json").unlink()
    train(parse_settings(arguments(tiny_qwen2vl, tiny_dataset, out)))
    assert weights_in(out) == weights_in(run)


def test_a_second_stage_goes_on_with_it(run: Path, tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path) -> None:
    from safetensors.torch import load_file

    more = {"init_adapter": run / "adapter", "sources": "know", "max_steps": 1, "save_strategy": "no"}
    adapter = train(parse_settings(arguments(tiny_qwen2vl, tiny_dataset, tmp_path / "run", **more)))
    before, after = load_file(run / WEIGHTS), load_file(adapter / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name].to(before[name].dtype)) for name in before)


def test_the_adapter_works_on_the_whole_base(run: Path, tiny_qwen2vl: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    base = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl)
    ids = torch.tensor([[40, 41, 42]])
    before = base(input_ids=ids).logits
    assert not torch.equal(PeftModel.from_pretrained(base, run / "adapter")(input_ids=ids).logits, before)
