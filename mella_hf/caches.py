"""The cache folder: files that the library can make again."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """`$MELLA_CACHE`, else `$XDG_CACHE_HOME/mella_hf`, else `~/.cache/mella_hf`. Not created here."""
    own = os.environ.get("MELLA_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "mella_hf"
