"""Find the metrics: those of this library, and those that other installed packages register.

A package registers a metric in its pyproject.toml; the value is a subclass of `mella_hf.metrics.Metric`:

    [project.entry-points."mella_hf.metrics"]
    rhyme = "rhyming.metric:Rhyme"
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib import import_module

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics import scores as own
from mella_hf.metrics.base import Metric, Score
from mella_hf.metrics.texts.tables import Compact
from mella_hf.plugins import blame, find_plugins, load_plugin, make_plugin, origin

GROUP = "mella_hf.metrics"
_NEEDED = ("name", "width", "scores")


@cache
def all_metrics() -> tuple[Metric, ...]:
    """Every metric, by its place.

    Raises:
        MellaError: when a registered metric does not load, is no `Metric`, or takes a name that is taken.
    """
    found: dict[str, Metric] = {}
    for metric, source in [*_own_metrics(), *_registered_metrics()]:
        taken = {score.name for other in found.values() for score in other.scores}
        clashes = sorted({score.name for score in metric.scores} & taken) + [metric.name] * (metric.name in found)
        if clashes:
            raise MellaError(f"{source} calls a metric or score {clashes[0]!r}, which exists already; rename it there.")
        found[metric.name] = metric
    return tuple(sorted(found.values(), key=lambda metric: (metric.place, metric.name)))


@cache
def all_scores() -> dict[str, Score]:
    """Every score by its name, in the order of the metrics."""
    return {score.name: score for metric in all_metrics() for score in metric.scores}


@cache
def columns() -> dict[str, slice]:
    """Where the statistics of each metric stand in a row of an item's statistics."""
    ends = np.cumsum([metric.width for metric in all_metrics()]).tolist()
    return {m.name: slice(end - m.width, end) for m, end in zip(all_metrics(), ends, strict=True)}


def score_sums(sums: np.ndarray, items: int) -> dict[str, np.ndarray]:
    """Every score from all statistics [..., k], summed over `items` items; NaN where it does not exist."""
    found: dict[str, np.ndarray] = {}
    for metric in all_metrics():
        scores = scores_of(metric, partial(metric.score, sums[..., columns()[metric.name]], items))
        lacking = sorted({score.name for score in metric.scores} - set(scores))
        if lacking:
            raise MellaError(
                f"The metric {metric.name!r} lists the score {lacking[0]!r} and does not give it; make `score` give it."
            )
        found |= scores
    return found


def score_items(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Every score of single items, [n], from their statistics [n, k]."""
    found: dict[str, np.ndarray] = {}
    for metric in all_metrics():
        found |= scores_of(metric, partial(metric.item_score, rows[:, columns()[metric.name]]))
    return found


def scores_of(metric: Metric, compute: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
    """The scores of a metric by name. Raises MellaError if it fails (naming its package) or gives unlisted scores."""
    try:
        found = compute()
        unlisted = sorted(set(found) - {score.name for score in metric.scores})
    except Exception as error:
        raise blame(metric, f"metric {metric.name!r}", error) from error
    if unlisted:
        raise MellaError(
            f"The metric {metric.name!r} gives the score {unlisted[0]!r} and does not list it; add it to `scores`."
        )
    return found


def own_intervals(rows: Compact, order: np.ndarray) -> dict[str, tuple[float, float]]:
    """The intervals that metrics bring themselves, from the statistics [n, k] of items, taken in the given order."""
    found: dict[str, tuple[float, float]] = {}
    for metric in all_metrics():
        if type(metric).intervals is not Metric.intervals:
            found |= metric.intervals(rows.part(columns()[metric.name], order))
    return found


def own_difference_intervals(first: Compact, second: Compact, order: np.ndarray) -> dict[str, tuple[float, float]]:
    """The same for the differences of two systems on the same items."""
    found: dict[str, tuple[float, float]] = {}
    for metric in all_metrics():
        if type(metric).difference_intervals is not Metric.difference_intervals:
            place = columns()[metric.name]
            found |= metric.difference_intervals(first.part(place, order), second.part(place, order))
    return found


def _own_metrics() -> Iterator[tuple[Metric, str]]:
    for module in pkgutil.iter_modules(own.__path__, f"{own.__name__}."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Metric) and value.__module__ == module.name:
                yield value(), module.name


def _registered_metrics() -> Iterator[tuple[Metric, str]]:
    for entry in find_plugins(GROUP).values():
        loaded = load_plugin(entry)
        if not (isinstance(loaded, type) and issubclass(loaded, Metric)):
            raise MellaError(f"{origin(entry)} is {loaded!r}; it must be a subclass of mella_hf.metrics.Metric.")
        lacking = sorted(loaded.__abstractmethods__) + [name for name in _NEEDED if not hasattr(loaded, name)]
        if lacking:
            raise MellaError(f"{origin(entry)} lacks {', '.join(lacking)}; add that to the class.")
        scores = loaded.scores
        if not isinstance(scores, tuple) or not scores or not all(isinstance(score, Score) for score in scores):
            raise MellaError(f"{origin(entry)} has the scores {scores!r}; write a tuple, as in (Score(...),).")
        yield make_plugin(entry, ()), origin(entry)
