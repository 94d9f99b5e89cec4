"""Recipes: complete, with the paper's settings, and refused with one clear error where they are wrong."""

from pathlib import Path

import pytest

from mella_hf.errors import MellaError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.arguments.recipes import find_recipe, recipe_names

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
BASE = "languages: [ar]\nmodel_name_or_path: x\nmax_length: null\nbf16: false"


def test_the_recipe_has_the_papers_settings() -> None:
    """Against the training settings of arXiv 2508.05502 and its repository (InternVL2-8B, Nov-Dec 2024)."""
    settings = parse_settings(
        ["--config", str(RECIPES / "joint.yaml"), "--model_name_or_path", "org/base", "--use_cpu", "true"]
    )
    training, model, data = settings.training, settings.model, settings.data
    assert data.max_image_tokens == 1800  # six tiles of 448 px and a thumbnail, 256 tokens each, and two marks: 1794
    assert (model.use_peft, model.lora_r, data.lora_scope) == (True, 16, ["language_model"])
    assert (training.learning_rate, training.weight_decay, training.warmup_steps) == (4e-5, 0.01, 0.03)
    assert (training.lr_scheduler_type, training.num_train_epochs) == ("cosine", 1)
    assert (training.bf16, training.gradient_checkpointing, training.max_length) == (True, True, None)
    assert training.per_device_train_batch_size * training.gradient_accumulation_steps * 8 == 16
    assert 80_000 <= data.max_samples <= 140_000
    assert data.sources == ["know", "ling"]
    assert data.weights == {"know": 0.5, "ling": 0.5}


def test_every_recipe_parses() -> None:
    recipes = [find_recipe(name) for name in recipe_names()]
    assert recipes
    for recipe in recipes:
        parse_settings(["--config", str(recipe), "--model_name_or_path", "org/base", "--use_cpu", "true"])


def test_flags_override_the_recipe() -> None:
    recipe = str(RECIPES / "demo/joint.yaml")
    settings = parse_settings(["--config", recipe, "--languages", "th", "ko", "--learning_rate", "1e-4"])
    assert settings.data.languages == ["th", "ko"]
    assert settings.training.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("source_weights: {know: 1, ling: 3}", []),
        ("source_weights: [know=1, ling=3]", []),
        ("", ["--source_weights", "know=0.25", "ling=0.75"]),
        ("", ["--source_weights", '{"know": 2, "ling": 6}']),
        ("source_weights: {know: 9, ling: 1}", ["--source_weights", "know=1", "ling=3"]),
    ],
)
def test_source_weights_in_every_form(tmp_path: Path, text: str, flags: list[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"max_length: null\n{text}\n")
    common = ["--config", str(recipe), "--output_dir", str(tmp_path), "--use_cpu", "true", "--bf16", "false"]
    settings = parse_settings([*common, "--languages", "ar", "--model_name_or_path", "x", *flags])
    assert settings.data.weights == {"know": 0.25, "ling": 0.75}


def test_without_source_weights_the_loss_is_trls() -> None:
    recipe = str(RECIPES / "demo/joint.yaml")
    assert parse_settings(["--config", recipe]).data.weights is None


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("learning_rat: 1", [], r"Unknown key 'learning_rat' in .*; did you mean 'learning_rate'\?"),
        ("- a\n- b", [], "holds no keys; write lines such as"),
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
        ("source_weights: {both: 1}", [], "Unknown source 'both' in source_weights; choose among know, ling"),
        ("source_weights: {know: -1, ling: 2}", [], "source_weights gives know the weight -1.0; give a number"),
        ("source_weights: {know: .nan}", [], "source_weights gives know the weight nan"),
        ("source_weights: {know: 0, ling: 0}", [], "source_weights sum to 0"),
        ("", ["--source_weights", "know"], r"source_weights is \['know'\]; write it as know=0.5 ling=0.5"),
        ("", ["--source_weights", "{know"], "write it as know=0.5 ling=0.5"),
        ("source_weights: {know: 1}\nlength_buckets: false", [], "source_weights needs length_buckets: true"),
        ("streaming: true\nlength_buckets: false", [], "streaming works only with length_buckets: true"),
        ("streaming: true\nmax_samples: 5", [], "max_samples cannot be combined with streaming"),
        (f"{BASE}\nstreaming: true", [], "streaming needs max_steps, because a stream has no known length"),
        (f"{BASE}\nstreaming: true\nmax_steps: 5\ndataloader_num_workers: 2", [], "one reader per process; set 0 or 1"),
        ("languages: [ar]\nbf16: true\nfp16: true\nuse_cpu: true", [], "The settings are refused: .*[fF][pP]16"),
    ],
)
def test_errors(tmp_path: Path, text: str, flags: list[str], message: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text or "max_length: null")
    with pytest.raises(MellaError, match=message):
        parse_settings(["--config", str(recipe), "--output_dir", str(tmp_path), "--use_cpu", "true", *flags])


def test_a_missing_recipe_is_named() -> None:
    with pytest.raises(MellaError, match="'nowhere.yaml' does not exist; give --config the path of a recipe"):
        parse_settings(["--config", "nowhere.yaml"])


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ("lora_modules_to_save: [lm_head]", "LoRA alone is trained"),
        ("lora_target_parameters: [experts]", "lora_scope"),
        ("dataloader_drop_last: true", "every sample is seen once"),
        ("train_sampling_strategy: group_by_length", "length_buckets decides"),
        ("data_seed: 7", "follows from seed"),
        ("shuffle_dataset: true", "drawn by seed"),
        ("auto_find_batch_size: true", "made once"),
        ("packing: true", "not packed"),
        ("resume_from_checkpoint: x", "resumes by itself"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(tmp_path: Path, setting: str, instead: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{BASE}\nuse_cpu: true\noutput_dir: {tmp_path / 'out'}\n{setting}\n")
    with pytest.raises(MellaError, match=f"{setting.split(':')[0]} is .*, but does nothing here: .*{instead}"):
        parse_settings(["--config", str(recipe)])


@pytest.mark.parametrize("other", ["streaming: true\nmax_steps: 5", "transfer_set: somewhere"])
def test_nothing_is_held_out_of_what_has_no_rows(tmp_path: Path, other: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{BASE}\nuse_cpu: true\noutput_dir: {tmp_path / 'out'}\neval_strategy: epoch\n{other}\n")
    with pytest.raises(MellaError, match="eval_strategy cannot hold out samples with"):
        parse_settings(["--config", str(recipe)])
