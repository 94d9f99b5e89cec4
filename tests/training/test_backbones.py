"""LoRA reaches the parts it is told to, in every family, and no other."""

from pathlib import Path
from typing import Any

import pytest

from mella_hf.errors import MellaError
from mella_hf.training.backbones import lora_targets, trainable_by_part


def tiny_internvl() -> Any:
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    text = {
        "model_type": "qwen2", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": [28, 28], "patch_size": [14, 14],
    }  # fmt: skip
    return InternVLForConditionalGeneration(InternVLConfig(text_config=text, vision_config=vision, image_token_id=3))


def tiny_qwen(folder: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(folder)


@pytest.fixture(params=["qwen2_vl", "internvl"])
def backbone(request: pytest.FixtureRequest, tiny_qwen2vl: Path) -> Any:
    return tiny_internvl() if request.param == "internvl" else tiny_qwen(tiny_qwen2vl)


def adapted(model: Any, scope: list[str]) -> set[str]:
    """Paths of the layers that PEFT really adapts."""
    from peft import LoraConfig, get_peft_model

    peft = get_peft_model(model, LoraConfig(r=2, target_modules=lora_targets(model, scope)))
    return {
        name.split(".lora_A")[0].removeprefix("base_model.model.")
        for name, _ in peft.named_modules()
        if ".lora_A." in name
    }


def test_the_language_model_alone(backbone: Any) -> None:
    paths = adapted(backbone, ["language_model"])
    layers = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert {path.rsplit(".", 1)[1] for path in paths} == layers
    assert len(paths) == 2 * len(layers)
    assert all(path.startswith("model.language_model.layers.") for path in paths)
    counts = trainable_by_part(backbone, backbone.config.model_type)
    assert counts["language_model"]["trainable"] > 0
    assert counts["vision_tower"]["trainable"] == counts["projector"]["trainable"] == 0


@pytest.mark.parametrize("part", ["projector", "vision_tower"])
def test_another_part(backbone: Any, part: str) -> None:
    adapted(backbone, [part])
    counts = trainable_by_part(backbone, backbone.config.model_type)
    assert {name for name, count in counts.items() if count["trainable"]} == {part}


def test_counts_add_up(backbone: Any) -> None:
    counts = trainable_by_part(backbone, backbone.config.model_type)
    assert sum(count["total"] for count in counts.values()) == sum(p.numel() for p in backbone.parameters())
    assert all(counts[part]["total"] for part in ("language_model", "projector", "vision_tower"))


@pytest.mark.parametrize("scope", [[], ["decoder"]])
def test_a_scope_that_is_none_is_refused(tiny_qwen2vl: Path, scope: list[str]) -> None:
    with pytest.raises(MellaError, match="choose among language_model, projector, vision_tower"):
        lora_targets(tiny_qwen(tiny_qwen2vl), scope)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(MellaError, match="The model type 'bert' is not known here; choose a backbone of qwen2_vl"):
        trainable_by_part(tiny_internvl(), "bert")
