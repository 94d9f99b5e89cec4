"""LoRA reaches the parts it is told to, in every family, and no other."""

from pathlib import Path
from typing import Any

import pytest

from mella_hf.errors import MellaError
from mella_hf.training.backbones import find_parts, lora_targets, trainable_by_part

LAYERS, BLOCKS = 2, 2  # of the language model and of the vision tower
TEXT = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": LAYERS,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
QWEN_TOKENS = {"image_token_id": 3, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
INTERNVL_VISION = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": BLOCKS, "num_attention_heads": 4,
    "image_size": [28, 28], "patch_size": [14, 14],
}  # fmt: skip


def tiny_qwen2() -> Any:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    vision = {"depth": BLOCKS, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 14}
    text = {**TEXT, "rope_parameters": MROPE}
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **QWEN_TOKENS))


def tiny_qwen2_5() -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    vision = {
        "depth": BLOCKS, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14,
        "out_hidden_size": 32, "fullatt_block_indexes": [1],
    }  # fmt: skip
    text = {**TEXT, "rope_parameters": MROPE}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **QWEN_TOKENS))


def tiny_qwen3() -> Any:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    vision = {
        "depth": BLOCKS, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14,
        "out_hidden_size": 32, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    text = {**TEXT, "head_dim": 8, "rope_parameters": MROPE}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **QWEN_TOKENS))


def tiny_internvl(text: str = "qwen2") -> Any:
    """Native InternVL: Qwen2 in 2.5 and 3, Qwen3 in 3.5."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    config = InternVLConfig(
        text_config={**TEXT, "model_type": text, "head_dim": 8}, vision_config=INTERNVL_VISION, image_token_id=3
    )
    return InternVLForConditionalGeneration(config)


def tiny_internvl2() -> Any:
    """What `convert_internvl2` writes the configuration of: Llama, and a tower with biases."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6}
    config = InternVLConfig(
        text_config={**TEXT, "model_type": "llama", "rope_parameters": rope},
        vision_config={**INTERNVL_VISION, "attention_bias": True},
        image_token_id=3,
        tie_word_embeddings=False,
    )
    return InternVLForConditionalGeneration(config)


FAMILIES = {
    "qwen2_vl": tiny_qwen2,
    "qwen2_5_vl": tiny_qwen2_5,
    "qwen3_vl": tiny_qwen3,
    "internvl3": tiny_internvl,
    "internvl3_5": lambda: tiny_internvl("qwen3"),
    "internvl2": tiny_internvl2,
}
# Linear layers of a vision block and of the projector, counted in the papers' figures and the models' code.
VISION_LAYERS = {"qwen2_vl": 4, "qwen2_5_vl": 5, "qwen3_vl": 4, "internvl3": 6, "internvl3_5": 6, "internvl2": 6}
PROJECTOR_LAYERS = {"qwen2_vl": 2, "qwen2_5_vl": 2, "qwen3_vl": 4, "internvl3": 2, "internvl3_5": 2, "internvl2": 2}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backbone(family: str) -> Any:
    return FAMILIES[family]()


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
    assert len(paths) == LAYERS * len(layers)
    assert all(path.startswith("model.language_model.layers.") for path in paths)
    counts = trainable_by_part(backbone)
    # Rank 2, over the seven layers: 2 x (in + out). Keys and values are half as wide.
    per_layer = 2 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 48))
    assert counts["language_model"]["trainable"] == LAYERS * per_layer
    assert counts["vision_tower"]["trainable"] == counts["projector"]["trainable"] == counts["other"]["trainable"] == 0


@pytest.mark.parametrize("part", ["projector", "vision_tower"])
def test_another_part(backbone: Any, family: str, part: str) -> None:
    paths = adapted(backbone, [part])
    assert len(paths) == (PROJECTOR_LAYERS[family] if part == "projector" else VISION_LAYERS[family] * BLOCKS)
    counts = trainable_by_part(backbone)
    assert {name for name, count in counts.items() if count["trainable"]} == {part}


def test_counts_add_up(backbone: Any) -> None:
    counts = trainable_by_part(backbone)
    assert sum(count["total"] for count in counts.values()) == sum(p.numel() for p in backbone.parameters())
    assert all(counts[part]["total"] for part in ("language_model", "projector", "vision_tower"))


@pytest.mark.parametrize("scope", [[], ["decoder"]])
def test_a_scope_that_is_none_is_refused(scope: list[str]) -> None:
    with pytest.raises(MellaError, match="choose among language_model, projector, vision_tower"):
        lora_targets(tiny_internvl(), scope)


def test_a_scope_that_matches_nothing_is_refused() -> None:
    from torch import nn

    model = tiny_internvl()
    model.model.multi_modal_projector = nn.Identity()
    with pytest.raises(MellaError, match="lora_scope names 'projector', but InternVLForConditionalGeneration has no"):
        lora_targets(model, ["language_model", "projector"])


def test_a_model_that_does_not_say_where_its_parts_are_is_refused() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    with pytest.raises(MellaError, match="LlamaForCausalLM does not say which module is its language model, so LoRA"):
        find_parts(LlamaForCausalLM(LlamaConfig(**TEXT)))


def test_the_folder_of_a_saved_backbone_has_the_same_parts(tiny_qwen2vl: Path) -> None:
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl)
    assert len(adapted(model, ["language_model"])) == 14
