"""Where the files that are not Python live: recipes and card templates, in a checkout and in a wheel."""

from importlib.resources import files
from pathlib import Path

from mella_hf.errors import MellaError

_CHECKOUT = Path(__file__).resolve().parent.parent


def resource_path(folder: str, name: str) -> Path:
    """A file of `recipes/` or `model_cards/`: packaged inside `mella_hf`, or at the top of a checkout."""
    packaged = Path(str(files("mella_hf"))) / folder / name
    for path in (packaged, _CHECKOUT / folder / name):
        if path.is_file():
            return path
    raise MellaError(f"{folder}/{name} is not part of this installation; install mella_hf again from a wheel.")


def recipe_path(name: str) -> Path:
    """A recipe or its script, such as "demo/joint.yaml"."""
    return resource_path("recipes", name)


def template_path(name: str) -> Path:
    """A card template, such as "adapter_card.md.j2"."""
    return resource_path("model_cards", name)
