"""The recipe of each backbone has the paper's settings and bounds images to the paper's number of tokens."""

from pathlib import Path

import pytest
import yaml

from mella_hf.training.arguments import parse_settings

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
PAPER_TOKENS = 7 * 256  # six tiles of 448 px and a thumbnail, each 32 x 32 patches merged two by two

# Backbone, and the side in pixels of what one image token shows (patch times merge), or tiles.
BACKBONES = {
    "qwen2_vl_7b": ("Qwen/Qwen2-VL-7B-Instruct", 28),
    "qwen2_5_vl_7b": ("Qwen/Qwen2.5-VL-7B-Instruct", 28),
    "qwen3_vl_8b": ("Qwen/Qwen3-VL-8B-Instruct", 32),
    "internvl2_8b": ("outputs/internvl2_8b/base", None),
    "internvl3_5_8b": ("OpenGVLab/InternVL3_5-8B-HF", None),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_the_joint_recipe(name: str) -> None:
    model_name, side = BACKBONES[name]
    path = RECIPES / name / "joint.yaml"
    settings = parse_settings(["--config", str(path), "--use_cpu", "true"])
    training, model, data = settings.training, settings.model, settings.data
    assert (model.model_name_or_path, model.use_peft, model.lora_r) == (model_name, True, 16)
    assert (data.lora_scope, data.sources) == (["language_model"], ["know", "ling"])
    assert (training.learning_rate, training.weight_decay, training.warmup_steps) == (4e-5, 0.01, 0.03)
    assert (training.lr_scheduler_type, training.num_train_epochs) == ("cosine", 1)
    assert (training.bf16, training.gradient_checkpointing, model.dtype) == (True, True, "bfloat16")
    assert training.per_device_train_batch_size * training.gradient_accumulation_steps * 8 == 16
    if side is None:
        assert data.max_patches == 6 and data.max_pixels is None
    else:
        assert data.max_pixels == PAPER_TOKENS * side**2 and data.max_patches is None
    text = path.read_text("utf-8")
    assert f"--config recipes/{name}/joint.yaml" in text.partition("# Data")[0], "the launch command stands on top"


def test_the_recipes_say_the_same_things() -> None:
    keys = {name: set(yaml.safe_load((RECIPES / name / "joint.yaml").read_text("utf-8"))) for name in BACKBONES}
    bounds = {"max_pixels", "max_patches"}
    assert len({frozenset(k - bounds) for k in keys.values()}) == 1
