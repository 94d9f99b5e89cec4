"""Every command in docs/reproduce.md parses: its options exist, and so do the recipes and the folders it reads."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from mella_hf.cli import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reproduce.md").read_text("utf-8")
BLOCKS = re.findall(r"(?:^    .*\n)+", TEXT, re.MULTILINE)
COMMANDS = [
    shlex.split(line)
    for block in BLOCKS
    for line in re.sub(r"\\\n\s*", "", block).splitlines()
    if line.split()[0] in ("mella", "accelerate")
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_parse(words):
    if words[0] == "mella":
        name, given = words[1], words[2:]
    else:
        script = next(word for word in words if word.endswith(".py"))
        assert words[1] == "launch" and (ROOT / script).is_file()
        for word in words[2 : words.index(script)]:
            assert word == "--config_file" or (ROOT / word).is_file(), word
        name, given = Path(script).stem, words[words.index(script) + 1 :]
    if name == "sft":
        settings = dict(zip(given[::2], given[1::2], strict=True))
        recipe = yaml.safe_load((ROOT / settings.pop("--config")).read_text("utf-8"))
        assert {key.removeprefix("--") for key in settings} <= {*recipe, "data_dir", "output_dir", "model_name_or_path"}
    else:
        command = typer.main.get_command(app).commands[name]
        with command.make_context(name, list(given)) as context:
            assert context.params


def test_there_are_commands_of_every_step():
    assert {words[1] for words in COMMANDS if words[0] == "mella"} >= {
        "build",
        "verify",
        "convert-internvl2",
        "evaluate",
    }
    assert sum("recipes/sft.py" in words for words in COMMANDS) == 1


def test_adapters_that_are_read_are_those_that_recipes_write():
    written = {yaml.safe_load(path.read_text("utf-8"))["output_dir"] for path in ROOT.glob("recipes/*_*.yaml")}
    written.add(yaml.safe_load((ROOT / "recipes/joint.yaml").read_text("utf-8"))["output_dir"])
    read = set(re.findall(r"(outputs/[\w-]+)/adapter", TEXT))
    assert read and read <= written


def test_recipes_that_are_named_exist():
    named = set(re.findall(r"recipes/[\w/.]+\.(?:py|yaml)", TEXT))
    named |= {f"recipes/{name}.yaml" for name in re.findall(r"`(\w+(?:_only|_stage\w*)|sdrrl)`", TEXT)}
    named |= {f"recipes/accelerate/{name}" for name in re.findall(r"`(\w+\.yaml)`", TEXT)}
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_the_calculated_hours_follow_from_the_formula():
    one = 180_000 * 1_430 * 6 * 7.7e9 / (9.89e14 * 0.4 * 3600)
    old = one * 9.89 / 3.12
    assert f"| {one:.1f} (A100: {old:.0f}) | {one / 8:.1f} (A100: {old / 8:.1f})" in TEXT
