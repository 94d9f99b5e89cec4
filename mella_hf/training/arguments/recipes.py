"""Recipes by their names, from a checkout or from an installed wheel."""

import difflib
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.files import resource_folder

LAUNCHERS = "accelerate"  # the folder of the launcher's configurations
OTHERS = (LAUNCHERS, "benchmarks", "gate")  # what holds no recipes of runs


def recipe_names() -> list[str]:
    """The names of the recipes that come with the library, such as "joint" and "demo/joint"."""
    folder = resource_folder("recipes")
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")]
    return sorted(name for name in names if name.split("/")[0] not in OTHERS)


def launcher_names() -> list[str]:
    """The names of the configurations of `accelerate launch`, such as "zero1"."""
    return sorted(path.stem for path in (resource_folder("recipes") / LAUNCHERS).glob("*.yaml"))


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe, by its name or its path.

    Raises:
        MellaError: when there is no such recipe; the message names the nearest ones.
    """
    return _find(recipe, recipe_names(), "", "recipe")


def find_launcher(launcher: str | Path) -> Path:
    """The file of a configuration of `accelerate launch`, by its name or its path. Raises MellaError."""
    return _find(launcher, launcher_names(), f"{LAUNCHERS}/", "configuration of accelerate launch")


def _find(wanted: str | Path, names: list[str], prefix: str, kind: str) -> Path:
    path = Path(wanted)
    if path.is_file():
        return path
    name = str(wanted).removesuffix(".yaml").removeprefix("recipes/").removeprefix(prefix)
    if name in names:
        return resource_folder("recipes") / f"{prefix}{name}.yaml"
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose among {', '.join(names)}."
    raise MellaError(f"There is no {kind} {str(wanted)!r}, neither a file nor a name; {hint}")
