"""Find what other installed packages add to this library: metrics, translators, captioners.

A package names them as entry points in its pyproject.toml, as plugins of pytest do. So they are found in every process,
and on every machine of a cluster, that has the package:

    [project.entry-points."mella_hf.translators"]
    shouting = "shouting_translator:Shouting"
"""

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from typing import Any

from mella_hf.errors import MellaError, MissingExtraError


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
    except Exception as error:  # the module is foreign code, which may raise anything
        raise MellaError(f"{origin(entry)} does not load ({_said(error)}). Mend or uninstall that package.") from error


def make_plugin(entry: EntryPoint, needed: Sequence[str], **options: Any) -> Any:
    """Call what an entry point names.

    Args:
        needed: names of the attributes and methods that the result must have.

    Raises:
        MellaError: when it does not load, cannot be called, or gives something else.
    """
    loaded = load_plugin(entry)
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    try:
        made = loaded(**options)
    except (MellaError, MissingExtraError):
        raise
    except Exception as error:
        raise MellaError(
            f"{origin(entry)} cannot be called as {entry.attr}({given}): {_said(error)}. Mend that package."
        ) from error
    lacking = [name for name in needed if not hasattr(made, name)]
    if lacking:
        raise MellaError(
            f"{origin(entry)} gives {type(made).__name__!r} without {', '.join(lacking)}. Add that in the package."
        )
    return made


def blame(plugin: object, called: str, error: Exception) -> Exception:
    """The error to raise instead of one that a plug-in raised: it names the package.

    An error of this library's own code stays as it is, and so does one that already is for users.

    Args:
        called: what the plug-in is to its users, such as "metric 'rhyme'".
    """
    package = package_of(plugin)
    if not package or isinstance(error, (MellaError, MissingExtraError)):
        return error
    return MellaError(f"The {called} of the package {package!r} failed ({_said(error)}). Mend or uninstall it.")


def package_of(plugin: object) -> str:
    """The installed package of an object's class; "" for this library and for what is not installed."""
    module = type(plugin).__module__.partition(".")[0]
    return "" if module == "mella_hf" else next(iter(packages_distributions().get(module, [])), "")


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def origin(entry: EntryPoint) -> str:
    """Where an entry point comes from, for errors."""
    return f"The entry point {entry.name} = {entry.value} of {_package(entry)}"


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name!r}" if entry.dist else "a package without a name"
