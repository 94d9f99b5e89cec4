"""Recipes: complete, with the paper's settings, and refused with one clear error where they are wrong."""

from pathlib import Path

import pytest

from mella_hf.errors import MellaError
from mella_hf.training.arguments import parse_settings

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def test_the_qwen_recipe_has_the_papers_settings() -> None:
    """Against the training settings of arXiv 2508.05502 and its repository (InternVL2-8B, Nov-Dec 2024)."""
    settings = parse_settings(["--config", str(RECIPES / "qwen2_vl_7b/joint.yaml"), "--use_cpu", "true"])
    training, model, data = settings.training, settings.model, settings.data
    assert model.model_name_or_path == "Qwen/Qwen2-VL-7B-Instruct"
    assert (model.use_peft, model.lora_r, data.lora_scope) == (True, 16, ["language_model"])
    assert (training.learning_rate, training.weight_decay, training.warmup_steps) == (4e-5, 0.01, 0.03)
    assert (training.lr_scheduler_type, training.num_train_epochs) == ("cosine", 1)
    assert (training.bf16, training.gradient_checkpointing, training.max_length) == (True, True, None)
    assert training.per_device_train_batch_size * training.gradient_accumulation_steps * 8 == 16
    assert 80_000 <= data.max_samples <= 140_000
    assert data.sources == ["know", "ling"]


def test_every_recipe_parses() -> None:
    recipes = [path for path in RECIPES.rglob("*.yaml") if path.parent.name != "accelerate"]
    assert recipes
    for recipe in recipes:
        parse_settings(["--config", str(recipe), "--use_cpu", "true"])


def test_every_launcher_configuration_loads() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    for path in sorted((RECIPES / "accelerate").glob("*.yaml")):
        assert load_config_from_file(str(path)).num_machines == 1


def test_flags_override_the_recipe() -> None:
    recipe = str(RECIPES / "demo/joint.yaml")
    settings = parse_settings(["--config", recipe, "--languages", "th", "ko", "--learning_rate", "1e-4"])
    assert settings.data.languages == ["th", "ko"]
    assert settings.training.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("learning_rat: 1", [], r"Unknown key 'learning_rat' in .*; did you mean 'learning_rate'\?"),
        ("- a\n- b", [], "holds no mapping of keys to values"),
        ("a: [", [], "is not YAML"),
        ("languages: [xx]", [], "Unknown language 'xx'; choose one of ar, cs, hu, ko, ru, sr, th, vi"),
        ("sources: [both]", [], "Unknown source 'both' in sources; choose among know, ling"),
        ("sources: []", [], "sources is empty; name 'know', 'ling' or both"),
        ("max_samples: 0", [], "max_samples is 0; give a positive number"),
        ("languages: []", [], "languages is empty; name at least one, as in --languages ar"),
        ("languages: [ar]", [], "model_name_or_path is missing"),
        ("languages: [ar]\nmodel_name_or_path: x", ["--max_length", "512"], "max_length is 512: it would cut answers"),
        (
            "languages: [ar]\nmodel_name_or_path: x\nmax_length: null\nlora_target_modules: [q_proj]",
            [],
            "name the parts to adapt with lora_scope",
        ),
        ("languages: [ar]\nbf16: true\nfp16: true\nuse_cpu: true", [], "The settings are refused: .*[fF][pP]16"),
    ],
)
def test_errors(tmp_path: Path, text: str, flags: list[str], message: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    with pytest.raises(MellaError, match=message):
        parse_settings(["--config", str(recipe), "--output_dir", str(tmp_path), "--use_cpu", "true", *flags])


def test_a_missing_recipe_is_named() -> None:
    with pytest.raises(MellaError, match="'nowhere.yaml' does not exist; give --config the path of a recipe"):
        parse_settings(["--config", "nowhere.yaml"])
