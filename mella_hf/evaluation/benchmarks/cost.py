"""Compare an adapter with its base on external benchmarks, to see what training made worse."""

import json
from pathlib import Path
from typing import Any, TypedDict


class BenchmarkCost(TypedDict):
    """What a system gains or loses against its base on a benchmark.

    Attributes:
        metric: "accuracy" or "METEOR".
        base, value: of the base and the system, in [0, 100], with their 95% intervals as [low, high].
        change: value less base, in points.
    """

    benchmark: str
    language: str
    system: str
    metric: str
    n: int
    base: float
    base_interval: list[float]
    value: float
    interval: list[float]
    change: float


def benchmark_costs(folder: Path) -> list[BenchmarkCost]:
    """The results of a run's benchmarks that the base and another system have, one entry a benchmark and system.

    Args:
        folder: of a run; its benchmarks lie in `benchmarks/` there or one level above.
    """
    place = next((at for at in (folder / "benchmarks", folder.parent / "benchmarks") if (at / "base").is_dir()), None)
    if place is None:
        return []
    found = []
    for path in sorted((place / "base").glob("*.json")):
        if path.name.endswith(".meta.json"):
            continue
        base = json.loads(path.read_text("utf-8"))
        for other in sorted(place.glob(f"*/{path.name}")):
            if other.parent.name != "base":
                found.append(_entry(other.parent.name, base, json.loads(other.read_text("utf-8"))["scores"]))
    return found


def _entry(system: str, base: dict[str, Any], scores: dict[str, Any]) -> BenchmarkCost:
    key = "accuracy" if "accuracy" in scores else "meteor"
    before = base["scores"]
    return {
        "benchmark": base["benchmark"]["name"],
        "language": base["benchmark"]["language"],
        "system": system,
        "metric": {"accuracy": "accuracy", "meteor": "METEOR"}[key],
        "n": scores["n"],
        "base": before[key],
        "base_interval": [before[f"{key}_low"], before[f"{key}_high"]],
        "value": scores[key],
        "interval": [scores[f"{key}_low"], scores[f"{key}_high"]],
        "change": scores[key] - before[key],
    }
