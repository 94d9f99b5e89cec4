"""Find what other installed packages add to this library: metrics, translators, captioners.

A package names them as entry points in its pyproject.toml, as plugins of pytest do. So they are found in every process,
and on every machine of a cluster, that has the package:

    [project.entry-points."mella_hf.translators"]
    shouting = "shouting_translator:Shouting"
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mella_hf.errors import MellaError


def find_plugins(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name, in alphabetical order; none is loaded.

    Raises:
        MellaError: when two packages use one name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        if entry.name in found and entry.value != found[entry.name].value:
            raise MellaError(
                f"Two packages register {entry.name!r} as one of {group}: {_package(found[entry.name])} and "
                f"{_package(entry)}. Uninstall one of them."
            )
        found[entry.name] = entry
    return found


def load_plugin(entry: EntryPoint) -> Any:
    """What an entry point names. Raises MellaError when it does not load."""
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise MellaError(f"{origin(entry)} does not load ({error}). Mend or uninstall that package.") from error


def origin(entry: EntryPoint) -> str:
    """Where an entry point comes from, for errors."""
    return f"The entry point {entry.name} = {entry.value} of {_package(entry)}"


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name!r}" if entry.dist else "a package without a name"
