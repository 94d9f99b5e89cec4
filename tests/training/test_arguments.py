"""Recipes: complete, with the paper's settings, and refused with one clear error where they are wrong."""

from pathlib import Path

import pytest

from mella_hf.errors import MellaError
from mella_hf.training.arguments.parsing import parse_settings, recipe_settings
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate: 1e-4\nlearning_rate: 1e-5", "is not YAML.*'learning_rate' is there twice.*line 9"),
        ("source_weights: {know: 1, know: 2}", "'know' is there twice"),
        ("\tseed: 1", "is not YAML.*cannot start any token"),
        ("5: 3", "Unknown key '5'"),
        ("seed: [" * 3000, "nests lists without an end"),
        ("languages: 5", "languages is 5 in .*; give a list"),
        ("sources: know", "sources is 'know' in .*; give a list"),
        ("lora_r: many", "lora_r is 'many' in .*; give a whole number"),
        ("lora_r: 4.5", "lora_r is 4.5 in .*; give a whole number"),
        ("lora_r: true", "lora_r is True in .*; give a whole number"),
        ("lora_r: null", "lora_r is None in .*; give a whole number"),
        ("learning_rate: [1e-4]", r"learning_rate is \['1e-4'\] in .*; give a number"),
        ("learning_rate: 1,5", "learning_rate is '1,5' in .*; give a number"),
        ("learning_rate: .nan", "learning_rate is nan in .*; give a number"),
        ("use_peft: perhaps", "use_peft is 'perhaps' in .*; give true or false"),
        ("use_peft: []", r"use_peft is \[\] in .*; give true or false"),
        ("max_samples: {know: 5}", "max_samples is .* in .*; give a whole number or null"),
        ("output_dir: 5", "output_dir is 5 in .*; give a text or null"),
        ("env: [A]", r"env is \['A'\] in .*; write environment variables"),
        ("env: {'A=B': 1}", "env is .*; write environment variables"),
        ("use_peft: true\nlora_r: 0", "lora_r is 0; give a positive number"),
        ("num_train_epochs: 0", "num_train_epochs is 0; give a positive number"),
        ("per_device_train_batch_size: -2", "per_device_train_batch_size is -2; give a positive number"),
        ("gradient_accumulation_steps: 0", "gradient_accumulation_steps is 0; give a positive number"),
        ("learning_rate: -1", "learning_rate is -1; give a positive number"),
        ("seed: -1", "seed is -1; give a whole number from 0"),
        ("use_peft: true\nlora_dropout: 1", "lora_dropout is 1; give a share"),
        ("label_smoothing_factor: 0.1", "label_smoothing_factor is 0.1, but transformers does not shift the labels"),
        ("completion_only_loss: false", "completion_only_loss is False"),
        ("eval_on_start: true", "eval_on_start is true, but nothing is held out"),
        (
            "load_best_model_at_end: true\nsave_strategy: 'no'",
            "load_best_model_at_end is true, but nothing is held out",
        ),
        ("accelerator_config: {split_batches: true}", "accelerator_config sets split_batches, but does nothing here"),
    ],
)
def test_values_of_a_wrong_kind_are_named(tmp_path: Path, text: str, message: str) -> None:
    """By both doors: the command and a program."""
    recipe = tmp_path / "recipe.yaml"
    start = BASE if not text.startswith("languages") else BASE.removeprefix("languages: [ar]\n")
    recipe.write_text(f"{start}\nuse_cpu: true\nreport_to: none\n# comment\n{text}\n")
    for read in (lambda: parse_settings(["--config", str(recipe)]), lambda: recipe_settings(recipe, {})):
        with pytest.raises(MellaError, match=f"(?s){message}"):
            read()


def test_a_file_that_is_no_utf_8_and_a_flag_that_is_no_number(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_bytes(f"{BASE}\nuse_cpu: true\n".encode("utf-16"))
    with pytest.raises(MellaError, match="is not YAML.*utf-8"):
        parse_settings(["--config", str(recipe)])
    recipe.write_bytes(b"\xef\xbb\xbf" + f"{BASE}\nuse_cpu: true\nlearning_rate: 1e-4\n".encode())
    settings = parse_settings(["--config", str(recipe)])
    assert settings.training.learning_rate == 1e-4
    with pytest.raises(MellaError, match="argument --seed: invalid int value: 'abc'; see --help"):
        parse_settings(["--config", str(recipe), "--seed", "abc"])


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
        ("model_init_kwargs: {attn_implementation: eager}", "loaded with dtype, attn_implementation"),
        ("chat_template_path: x", "chat_template.jinja"),
        ("trust_remote_code: true", "only models of transformers itself"),
        ("push_to_hub: true", "`mella push` uploads"),
        ("dataset_kwargs: {skip_prepare_dataset: true}", "prepared as they are read"),
        ("dataset_text_field: words", "conversations"),
        ("truncation_mode: keep_end", "nothing is cut"),
        ("length_column_name: tokens", "length_buckets decides"),
        ("use_dora: true", "it needs use_peft: true"),
        ("use_bnb_nested_quant: true", "it needs load_in_4bit: true"),
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


def test_all_languages_are_those_of_the_folder(tmp_path: Path) -> None:
    for code in ("th", "ar"):
        (tmp_path / code).mkdir()
        (tmp_path / code / "know-00000-of-00001.parquet").touch()
    settings = recipe_settings(
        None,
        {"model_name_or_path": "x", "languages": ["all"], "data_dir": tmp_path, "max_length": None, "use_cpu": True}
        | {"bf16": False, "output_dir": tmp_path / "out", "report_to": "none"},
    )
    assert settings.data.languages == ["ar", "th"]
