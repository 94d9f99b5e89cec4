"""Read the settings of a run from a recipe and from flags."""

import difflib
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.training.arguments.data import DataArguments
from mella_hf.training.arguments.recipes import find_recipe
from mella_hf.training.arguments.settings import Settings
from mella_hf.training.forgetting import ForgettingArguments
from mella_hf.training.watch import WatchArguments

BOOLEANS = ("true", "false", "yes", "no", "t", "f", "y", "n", "1", "0")  # as transformers reads them
OWN_CHECK = ("source_weights",)  # takes several forms


def parse_settings(args: Sequence[str] | None = None) -> Settings:
    """Read `--config recipe.yaml` and the flags that override it (`sys.argv` by default).

    Raises:
        MellaError: on a configuration file that is missing or no mapping, a key that does not
            exist, or a value that is not valid.
    """
    args = _once("--languages", list(sys.argv[1:] if args is None else args))
    if "--config" in args:
        path = args[args.index("--config") + 1] if args.index("--config") + 1 < len(args) else ""
        written = read_recipe(path)
        check_keys(written, path)
        check_values(written, path)
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
    check_values(merged, "the settings")
    os.environ.update({name: str(value) for name, value in (merged.pop("env", None) or {}).items()})
    parser = _parser()
    parser.set_defaults_with_config(**merged)
    return _parsed(parser, [])


def _types() -> list[Any]:
    from trl import ModelConfig, SFTConfig

    return [DataArguments, SFTConfig, ModelConfig, ForgettingArguments, WatchArguments]


def _parser() -> Any:
    from trl import TrlParser

    class Parser(TrlParser):
        def error(self, message: str) -> NoReturn:  # argparse's own prints all of its help and leaves
            raise MellaError(f"The settings are refused: {message}; see --help.")

    return Parser(_types())


def _parsed(parser: Any, args: list[str]) -> Settings:
    try:
        return Settings(*parser.parse_args_and_config(args))
    except (MellaError, MissingExtraError):
        raise
    except ValueError as error:  # TRL, transformers and PyYAML check their own values
        raise MellaError(f"The settings are refused: {error}") from error
    except ImportError as error:  # such as deepspeed
        raise MellaError(f"The settings need a package that is not installed: {error}") from error


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
        config = yaml.load(file.read_bytes().decode("utf-8-sig"), _loader())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise MellaError(f"The configuration file {path!r} is not YAML; mend the line that it names: {said}") from error
    except RecursionError as error:
        raise MellaError(f"The configuration file {path!r} is no recipe: it nests lists without an end.") from error
    if not isinstance(config, dict):
        raise MellaError(f"The configuration file {path!r} holds no keys; write lines such as `learning_rate: 1e-4`.")
    return config


def _loader() -> Any:
    """PyYAML's safe loader, which refuses a key that is written twice: it would keep the last alone."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen and isinstance(key.value, str):
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
                seen.update([key.value] if isinstance(key.value, str) else [])
            return super().construct_mapping(node, deep)

    return Loader


def check_keys(config: Iterable[str], where: str) -> None:
    """Refuse a key that no argument has, naming the nearest one that exists."""
    known = [field.name for kind in _types() for field in fields(kind)]
    for key in config:
        if key not in known and key != "env":
            key = str(key)
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; see --help for the keys that exist."
            raise MellaError(f"Unknown key {key!r} in {where}{hint}")


def check_values(config: Mapping[str, Any], where: str) -> None:
    """Refuse a value of another type than its setting has; argparse checks texts alone.

    Raises:
        MellaError: names the key, the value and what to write.
    """
    env = config.get("env")
    if env is not None and not (isinstance(env, dict) and all(_is_variable(name) for name in env)):
        raise MellaError(f"env is {env!r} in {where}; write environment variables, as in `env: {{NAME: value}}`.")
    for kind in _types():
        hints = get_type_hints(kind)
        for field in fields(kind):
            value = config.get(field.name, field.default)
            if field.name not in config or field.name in OWN_CHECK or (value is None and field.default is None):
                continue
            if field.name == "languages" and isinstance(value, str):  # "ar,cs"
                continue
            wanted = [_wanted(member) for member in get_args(hints[field.name]) or (hints[field.name],)]
            if get_origin(hints[field.name]) not in (Union, UnionType):
                wanted = [_wanted(hints[field.name])]
            if not any(fits(value) for _, fits in wanted):
                names = " or ".join(dict.fromkeys(name for name, _ in wanted if name))
                raise MellaError(f"{field.name} is {value!r} in {where}; give {names}.")


def _is_variable(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and not set(name) & {"=", "\0"}


def _wanted(hint: Any) -> tuple[str, Callable[[Any], bool]]:
    """What to call a type, and whether a value of YAML is one or a text that argparse reads as one."""
    origin = get_origin(hint) or hint
    if origin is type(None):
        return "null", lambda value: value is None
    if origin is bool:
        return "true or false", lambda value: value in (0, 1) or str(value).lower() in BOOLEANS
    if origin is int:
        return "a whole number", lambda value: _is_number(value, int)
    if origin is float:
        return "a number", lambda value: _is_number(value, float)
    if origin is str:
        return "a text", lambda value: isinstance(value, str)
    if origin is list:
        return "a list", lambda value: isinstance(value, list | tuple)
    if origin is dict:
        return "a mapping", lambda value: isinstance(value, dict | str)
    return "", lambda _: True  # checked by its own class


def _is_number(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | str | kind):
        return False
    try:
        return math.isfinite(kind(value))
    except (ValueError, OverflowError):
        return False
