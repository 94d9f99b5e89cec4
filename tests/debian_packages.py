"""Debian packages whose files tests read: fetched once, kept in the user's cache."""

from pathlib import Path

import pytest

from mella_hf.caches import cache_dir
from mella_hf.demo.debian import fetch_package
from mella_hf.errors import MellaError


def debian_package(name: str) -> Path:
    """The files of a package, from the user's cache; skips the test where apt cannot fetch it."""
    try:
        return fetch_package(name, cache_dir() / "debian")
    except MellaError as error:
        pytest.skip(f"The pages are not there: {error}")
