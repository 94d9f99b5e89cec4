"""`mella train`: train an adapter by a recipe and flags."""

import subprocess
from dataclasses import asdict
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.errors import MellaError


def train(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="Name, such as joint, or path of a YAML file.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="--SETTING VALUE", help="Settings that replace those of the recipe.")
    ] = None,
    accelerate_config: Annotated[
        str | None,
        typer.Option(
            "--accelerate-config",
            "--accelerate_config",
            help="Train under accelerate launch with this configuration: its name, such as zero1, or its path.",
        ),
    ] = None,
    recipes: Annotated[bool, typer.Option("--recipes", help="List the recipes and the launcher's configurations.")] = (
        False
    ),
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Try all that the run does, without training: every sample, memory, answers, disk; tell the time.",
        ),
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="List every setting with its default.")] = False,
) -> None:
    """Train an adapter by a recipe, in a single stage or as the second of two; the same command resumes.

    Every key of the recipe is a flag too, and flags win: mella train joint
    --model_name_or_path Qwen/Qwen2-VL-7B-Instruct --languages ar --lora_r 8.
    The adapter and its processor are written to OUTPUT_DIR/adapter.

    Before its first step a run tries what could end it later, in about a minute; --check does only that.

    On several GPUs: --accelerate-config zero1, or accelerate launch -m mella_hf train RECIPE.
    """
    from mella_hf.training.arguments.recipes import find_recipe, launcher_names, recipe_names

    if recipes:
        _list(recipe_names(), launcher_names())
        return
    given = [word for word in (recipe, *(settings or ())) if word is not None]
    if explain:
        given = ["--help"]
    elif not given:
        raise MellaError(f"No recipe is named; choose among {', '.join(recipe_names())}, or give the path of one.")
    elif not given[0].startswith("-"):
        given = ["--config", str(find_recipe(given[0])), *given[1:]]
    if accelerate_config is not None:
        _launch(accelerate_config, ["--check", *given] if check else given)
        return
    from mella_hf.training.arguments.parsing import parse_settings
    from mella_hf.training.sft import check as try_out
    from mella_hf.training.sft import train as run

    parsed = parse_settings(given)
    if check:
        tried = try_out(parsed)
        if parsed.training.process_index == 0:
            for line in tried.lines():
                say(line)
            finish(asdict(tried), "the run can start")
        return
    adapter = run(parsed)
    if parsed.training.process_index == 0:
        say(f"adapter: {adapter}")
        finish({"adapter": adapter, "record": adapter.parent / "training.json"}, adapter)


def _list(recipes: list[str], launchers: list[str]) -> None:
    for name in recipes:
        say(name)
    say(f"--accelerate-config: {', '.join(launchers)}")
    finish({"recipes": recipes, "accelerate_configs": launchers})


def _launch(configuration: str, arguments: list[str]) -> None:
    """Train in the processes of `accelerate launch`, and end as they end."""
    from mella_hf.training.arguments.launch import launch_command

    status = subprocess.run(launch_command(configuration, arguments), check=False).returncode
    if status:
        raise typer.Exit(status)
