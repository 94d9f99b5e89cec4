"""Read the settings of a run from a recipe and from flags."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.training.data_arguments import DataArguments
from mella_hf.training.forgetting import ForgettingArguments
from mella_hf.training.settings import Settings
from mella_hf.training.watch import WatchArguments


def parse_settings(args: Sequence[str] | None = None) -> Settings:
    """Read `--config recipe.yaml` and the flags that override it (`sys.argv` by default).

    Raises:
        MellaError: on a configuration file that is missing or no mapping, a key that does not
            exist, or a value that is not valid.
    """
    from trl import ModelConfig, SFTConfig, TrlParser

    args = _once("--languages", list(sys.argv[1:] if args is None else args))
    types: list[Any] = [DataArguments, SFTConfig, ModelConfig, ForgettingArguments, WatchArguments]
    if "--config" in args:
        path = args[args.index("--config") + 1] if args.index("--config") + 1 < len(args) else ""
        check_keys(path, [f.name for kind in types for f in fields(kind)])
    try:
        data, training, model, forgetting, watch = TrlParser(types).parse_args_and_config(args)
    except MellaError:
        raise
    except ValueError as error:  # TRL, transformers and PyYAML check their own values
        raise MellaError(f"The settings are refused: {error}") from error
    return Settings(data, training, model, forgetting, watch)


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


def check_keys(path: str, known: Sequence[str]) -> None:
    """Refuse a recipe with a key that no argument has, naming the nearest one that exists."""
    import difflib
    from pathlib import Path

    import yaml

    file = Path(path)
    if not file.is_file():
        raise MellaError(f"The configuration file {path!r} does not exist; give --config the path of a recipe.")
    try:
        config = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise MellaError(f"The configuration file {path!r} is not YAML: {error}") from error
    if not isinstance(config, dict):
        raise MellaError(f"The configuration file {path!r} holds no mapping of keys to values.")
    for key in config:
        if key not in known and key != "env":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; see --help for the keys that exist."
            raise MellaError(f"Unknown key {key!r} in {path}{hint}")
