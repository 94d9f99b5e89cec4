"""An adapter is loaded whole, by its names or those of an older transformers, or it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_qwen2vl import save_random_adapter

from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError

FILE = "adapter_model.safetensors"


@pytest.fixture
def adapter(tiny_qwen2vl: Path, tmp_path: Path) -> Path:
    """A LoRA adapter with random weights on the language model and the vision tower."""
    return save_random_adapter(tiny_qwen2vl, tmp_path / "adapter", seed=1, targets=["q_proj", "v_proj", "qkv"])


def rewrite(folder: Path, change: Any) -> None:
    weights = load_file(folder / FILE)
    changed = dict(pair for pair in (change(name, tensor) for name, tensor in weights.items()) if pair is not None)
    save_file(changed, folder / FILE, metadata={"format": "pt"})


def logits(base: Path, folder: Path) -> torch.Tensor:
    model, processor = load_model(str(base), folder, device="cpu")
    with torch.no_grad():
        return model(**processor.tokenizer("abc", return_tensors="pt")).logits


def test_names_of_older_versions_load_the_same_weights(tiny_qwen2vl: Path, adapter: Path) -> None:
    right = logits(tiny_qwen2vl, adapter)
    bare = load_model(str(tiny_qwen2vl), device="cpu")
    with torch.no_grad():
        assert not torch.allclose(right, bare[0](**bare[1].tokenizer("abc", return_tensors="pt")).logits)

    def older(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
        name = name.replace("model.model.language_model.layers.", "model.model.layers.")
        return name.replace("model.model.visual.", "model.visual."), tensor

    rewrite(adapter, older)
    assert any(name.startswith("base_model.model.model.layers.") for name in load_file(adapter / FILE))
    assert torch.equal(logits(tiny_qwen2vl, adapter), right)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name, tensor: None if "layers.0" in name else (name, tensor), "are missing, such as"),
        (lambda name, tensor: (name.replace("self_attn", "attention"), tensor), "have no place in the model, such as"),
        (lambda name, tensor: (f"odd.{name}", tensor), "have no place in the model"),
        (lambda name, tensor: None if "lora_B" in name else (name, tensor), "lora_B"),
    ],
)
def test_what_does_not_fit_whole_is_refused(tiny_qwen2vl: Path, adapter: Path, change: Any, said: str) -> None:
    rewrite(adapter, change)
    with pytest.raises(MellaError, match="does not fit the base model") as error:
        load_model(str(tiny_qwen2vl), adapter, device="cpu")
    assert said in str(error.value)


def test_a_tensor_too_many_is_refused(tiny_qwen2vl: Path, adapter: Path) -> None:
    weights = load_file(adapter / FILE)
    name = next(iter(weights))
    weights[name.replace("layers.0", "layers.99").replace("blocks.0", "blocks.99")] = weights[name].clone()
    save_file(weights, adapter / FILE, metadata={"format": "pt"})
    with pytest.raises(MellaError, match="1 tensors have no place in the model"):
        load_model(str(tiny_qwen2vl), adapter, device="cpu")


def test_the_adapter_config_still_says_what_was_trained(adapter: Path) -> None:
    assert json.loads((adapter / "adapter_config.json").read_text())["r"] == 4
