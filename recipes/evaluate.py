"""Evaluate an adapter, as in `python recipes/evaluate.py --base BASE --adapter ADAPTER --languages ar --out RUN`.

The same function as `mella evaluate`; with `accelerate launch` in place of `python`, several GPUs share the answers.
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
