"""Evaluate an adapter, as in `python recipes/evaluate.py --base BASE --adapter ADAPTER --language ar --out RUN`.

The same function as `mella evaluate`.
"""

import sys

import typer

from mella_hf.commands.evaluate import evaluate
from mella_hf.errors import MellaError, MissingExtraError

if __name__ == "__main__":
    try:
        typer.run(evaluate)
    except (MellaError, MissingExtraError) as error:
        sys.exit(f"error: {error}")
