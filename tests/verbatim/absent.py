"""Hides packages from every import: those that the environment variable ABSENT lists, as if they were not installed."""

import os
from importlib.machinery import PathFinder
from typing import Any

_found = PathFinder.find_spec


def _find_spec(name: str, path: Any = None, target: Any = None) -> Any:
    hidden = os.environ.get("ABSENT", "").split()
    if any(name == package or name.startswith(f"{package}.") for package in hidden):
        return None
    return _found(name, path, target)


PathFinder.find_spec = _find_spec  # type: ignore[method-assign,assignment]
