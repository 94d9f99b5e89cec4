"""Read the settings of a run from a recipe and from flags."""

import difflib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.training.arguments.data import DataArguments
from mella_hf.training.arguments.recipes import find_recipe
from mella_hf.training.arguments.settings import Settings
from mella_hf.training.forgetting import ForgettingArguments
from mella_hf.training.watch import WatchArguments


def parse_settings(args: Sequence[str] | None = None) -> Settings:
    """Read `--config recipe.yaml` and the flags that override it (`sys.argv` by default).

    Raises:
        MellaError: on a configuration file that is missing or no mapping, a key that does not
            exist, or a value that is not valid.
    """
    args = _once("--languages", list(sys.argv[1:] if args is None else args))
    if "--config" in args:
        path = args[args.index("--config") + 1] if args.index("--config") + 1 < len(args) else ""
        check_keys(read_recipe(path), path)
    return _parsed(_parser(), args)


def recipe_settings(recipe: str | Path | None, settings: Mapping[str, Any]) -> Settings:
    """The settings of a recipe, by its name or path, and those that replace them.

    Raises:
        MellaError: as `parse_settings`.
    """
    written = {} if recipe is None else read_recipe(str(find_recipe(recipe)))
    check_keys(written, str(recipe))
    check_keys(settings, "the settings")
    merged: dict[str, Any] = {**written, **settings}
    merged = {key: str(value) if isinstance(value, Path) else value for key, value in merged.items()}
    for name, value in (merged.pop("env", None) or {}).items():
        os.environ[name] = str(value)
    parser = _parser()
    parser.set_defaults_with_config(**merged)
    return _parsed(parser, [])


def _types() -> list[Any]:
    from trl import ModelConfig, SFTConfig

    return [DataArguments, SFTConfig, ModelConfig, ForgettingArguments, WatchArguments]


def _parser() -> Any:
    from trl import TrlParser

    return TrlParser(_types())


def _parsed(parser: Any, args: list[str]) -> Settings:
    try:
        return Settings(*parser.parse_args_and_config(args))
    except MellaError:
        raise
    except ValueError as error:  # TRL, transformers and PyYAML check their own values
        raise MellaError(f"The settings are refused: {error}") from error


def _once(flag: str, args: list[str]) -> list[str]:
    """Join the values of a flag that is given several times; argparse would keep the last ones only."""
    found: list[str] = []
    others: list[str] = []
    taking = False
    for word in args:
        if word.startswith("--"):
            taking = word == flag or word.startswith(f"{flag}=")
            word = word.removeprefix(flag).removeprefix("=") if taking else word
        if not taking:
            others.append(word)
        elif word:
            found.append(word)
    return [*others, flag, *found] if found else others


def read_recipe(path: str) -> dict[str, Any]:
    """The keys and values of a recipe. Raises MellaError when it is no YAML file with a mapping."""
    import yaml

    file = Path(path)
    if not file.is_file():
        raise MellaError(f"The configuration file {path!r} does not exist; give --config the path of a recipe.")
    try:
        config = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise MellaError(
            f"The configuration file {path!r} is not YAML; mend the line that it names: {error}"
        ) from error
    if not isinstance(config, dict):
        raise MellaError(f"The configuration file {path!r} holds no keys; write lines such as `learning_rate: 1e-4`.")
    return config


def check_keys(config: Iterable[str], where: str) -> None:
    """Refuse a key that no argument has, naming the nearest one that exists."""
    known = [field.name for kind in _types() for field in fields(kind)]
    for key in config:
        if key not in known and key != "env":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; see --help for the keys that exist."
            raise MellaError(f"Unknown key {key!r} in {where}{hint}")
