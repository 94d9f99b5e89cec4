"""Where the real outputs and the outside oracles are; tests that need them skip where they are not."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"

Rows = list[dict[str, Any]]


def _data(path: str) -> Path:
    found = DATA / path
    if not found.exists():
        pytest.skip(f"{path} is not there: the real outputs are not part of the project")
    return found


@pytest.fixture(scope="session")
def outputs() -> Callable[[str, str], Rows]:
    """outputs("ar", "base"): 100 real predictions with their references."""

    def read(language: str, system: str) -> Rows:
        text = _data(f"ling_outputs/{language}.{system}.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.split("\n") if line]

    return read


@pytest.fixture(scope="session")
def item_scores() -> dict[tuple[str, str, int], dict[str, float]]:
    """(language, system, id) -> what METEOR 1.5 and aac-metrics gave the item."""
    with _data("oracle/ling_item_scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys = [name for name in rows[0] if name not in ("language", "system", "id")]
    return {(r["language"], r["system"], int(r["id"])): {k: float(r[k]) for k in keys} for r in rows}


@pytest.fixture(scope="session")
def keyword_examples() -> dict[str, dict[str, list[list[str]]]]:
    """Hand-written (keyword, text) pairs: "pos" must hit, "neg" must not."""
    return json.loads(_data("oracle/keyword_examples.json").read_text("utf-8"))
