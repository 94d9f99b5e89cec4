"""`mella train` and `mella_hf.train`: a recipe and settings, from a shell, a launcher and Python."""

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from sft_runs import WEIGHTS, flags

import mella_hf
from mella_hf.errors import MellaError, UnknownLanguageError
from mella_hf.training.arguments.launch import launch_command
from mella_hf.training.arguments.parsing import parse_settings, recipe_settings
from mella_hf.training.arguments.recipes import find_launcher, find_recipe, recipe_names


def given(model: Path, dataset: Path, out: Path) -> dict[str, object]:
    """The settings of a run of two steps, as Python gives them."""
    words = flags(model, dataset, out, max_steps=2)[2:]
    return {key.removeprefix("--"): value for key, value in zip(words[::2], words[1::2], strict=True)}


def test_the_launcher_runs_the_same_command(tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    recipe, *settings = flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", max_steps=2)[1:]
    command = launch_command("cpu", [recipe, *settings, "--json"])
    assert command[command.index("-m", 3) :][:3] == ["-m", "mella_hf", "train"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["adapter"] == str(tmp_path / "run/adapter")
    assert (tmp_path / "run" / WEIGHTS).is_file()
    again = mella_hf.train(recipe, **given(tiny_qwen2vl, tiny_dataset, tmp_path / "run"))  # done: nothing runs
    assert again == tmp_path / "run/adapter"


def test_python_and_flags_give_the_same_settings(tiny_qwen2vl: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"max_length": None, "lora_r": 4, "use_peft": True, "use_cpu": True}))
    words = ["--languages", "ar,cs", "--source_weights", "know=0.5", "ling=0.5", "--output_dir", str(tmp_path / "o")]
    by_flags = parse_settings(["--config", str(recipe), "--model_name_or_path", str(tiny_qwen2vl), *words])
    in_python = recipe_settings(
        recipe,
        {"languages": ["ar", "cs"], "source_weights": {"know": 0.5, "ling": 0.5}, "output_dir": tmp_path / "o",
         "model_name_or_path": tiny_qwen2vl},
    )  # fmt: skip
    assert in_python.data.languages == by_flags.data.languages == ["ar", "cs"]
    assert in_python.data.weights == by_flags.data.weights
    assert asdict(in_python.model) == asdict(by_flags.model)
    assert in_python.training.output_dir == by_flags.training.output_dir


@pytest.mark.parametrize(
    "words, codes",
    [
        (["--languages", "ar", "cs"], ["ar", "cs"]),
        (["--languages", "cs,ar"], ["cs", "ar"]),
        (["--languages", "ar", "--languages", "th", "ar"], ["ar", "th"]),
        (["--languages=hu"], ["hu"]),
        (["--languages", "all"], ["ar"]),  # what the folder has
    ],
)
def test_languages_are_read_as_everywhere(
    words: list[str], codes: list[str], tiny_qwen2vl: Path, tiny_dataset: Path
) -> None:
    recipe = ["--config", str(find_recipe("demo/joint")), "--model_name_or_path", str(tiny_qwen2vl)]
    recipe += ["--data_dir", str(tiny_dataset)]
    assert parse_settings([*recipe, *words]).data.languages == codes


def test_an_unknown_language_and_an_unknown_setting_are_named(tiny_qwen2vl: Path) -> None:
    with pytest.raises(UnknownLanguageError, match="'xx'"):
        mella_hf.train("demo/joint", languages="ar,xx", model_name_or_path=tiny_qwen2vl)
    with pytest.raises(MellaError, match="Unknown key 'lora_rank' in the settings"):
        mella_hf.train("demo/joint", languages="ar", lora_rank=8)


def test_recipes_have_names_and_paths() -> None:
    for name in recipe_names():
        assert find_recipe(name).is_file() and find_recipe(f"recipes/{name}.yaml").is_file()
    assert find_launcher("zero1").name == "zero1.yaml"
    with pytest.raises(MellaError, match="did you mean zero"):
        find_launcher("zero9")
