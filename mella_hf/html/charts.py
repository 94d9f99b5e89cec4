"""Place numbers on a plot: scales, ticks and the points of a curve, in percent of the plot's size.

Charts are our own HTML and SVG, so labels remain text and keep their size on a phone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

STEPS = (1, 2, 2.5, 5, 10)  # tick distances that are easy to read
LABEL_WIDTH, LABEL_HEIGHT = 8.0, 4.5  # percent of the plot, on a phone
ENDS = ("value", "low", "high")  # of a score and its interval
WATCHED = {  # the drawn scores of a watched run, in percent: (title, factor)
    "/know_keyword_micro": ("keyword accuracy on know", 1),
    "/ling_meteor": ("METEOR on ling", 1),
    "/know_wrong_language_rate": ("wrong language on know", 100),
    "/ling_wrong_language_rate": ("wrong language on ling", 100),
    "/ling_repetition_rate": ("looping on ling", 100),
}


@dataclass(frozen=True)
class Curve:
    """A curve of a value by step, ready to draw.

    Attributes:
        title: name of the value.
        path: SVG path data in a 100 x 100 box, y downwards.
        x_ticks, y_ticks: (position in percent, label); y from the top.
        first, last: the values at both ends.
        steps: optimisation steps.
    """

    title: str
    path: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    first: float
    last: float
    steps: int


def ticks(high: float, count: int = 4) -> list[float]:
    """About `count` round numbers from 0 to the first one that is at least `high`."""
    if not high > 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(high / count))
    step = next(s * power for s in STEPS if s * power * count >= high * (1 - 1e-9))
    return [round(i * step, 10) for i in range(math.ceil(high / step - 1e-9) + 1)]


def scale_end(scores: Iterable[Mapping[str, Any] | None], metrics: Sequence[str]) -> float:
    """The right end of a score axis that contains all intervals and floors of these records; at most 100."""
    keys = [f"{metric}{suffix}" for metric in metrics for suffix in ("", "_high", "_floor")]
    values = [score[key] for score in scores if score for key in keys if score.get(key) is not None]
    return min(100.0, ticks(max(values, default=0.0))[-1])


def on_axis(value: float | None, end: float) -> float | None:
    """Position of a score on an axis from 0 to `end`, in percent; None if it was not measured."""
    return None if value is None else round(100 * min(value, end) / end, 2)


def loss_curve(log_history: Sequence[Mapping[str, Any]]) -> Curve | None:
    """The training loss by step, from a Trainer's log; None with fewer than two points."""
    points = [(entry["step"], entry["loss"]) for entry in log_history if "loss" in entry and "step" in entry]
    return _curve("loss", [(step, loss) for step, loss in points if math.isfinite(loss)])


def watched_curves(log_history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """The curves of `mella_hf.training.watch`, as means over languages; empty if nothing was watched."""
    curves = []
    for ending, (title, factor) in WATCHED.items():
        looks = [
            (entry["step"], [factor * v for k, v in entry.items() if k.startswith("watch/") and k.endswith(ending)])
            for entry in log_history
            if "step" in entry
        ]
        curve = _curve(title, [(step, sum(values) / len(values)) for step, values in looks if values])
        curves += [curve] if curve else []
    return curves


def _curve(title: str, points: Sequence[tuple[int, float]]) -> Curve | None:
    """A curve through the points; None with fewer than two."""
    if len(points) < 2 or points[-1][0] <= 0:
        return None
    x_marks, y_marks = ticks(points[-1][0]), ticks(max(value for _, value in points))
    right, top = points[-1][0], y_marks[-1]
    path = "M" + "L".join(f"{100 * step / right:.2f} {100 - 100 * value / top:.2f}" for step, value in points)
    return Curve(
        title=title,
        path=path,
        x_ticks=[(100 * mark / right, f"{mark:,.0f}") for mark in x_marks if mark <= right],
        y_ticks=[(100 - 100 * mark / top, f"{mark:g}") for mark in y_marks],
        first=points[0][1],
        last=points[-1][1],
        steps=right,
    )


@dataclass(frozen=True)
class Plane:
    """A scatter plot of two scores, ready to draw.

    Attributes:
        points: one dict per point: the given keys, and `x_value`, `x_low`, `x_high`, `y_value`, `y_low`, `y_high`
            in percent of the plot, y from the top; `label_y` is a label position without overlap.
        x_ticks, y_ticks: (position in percent, label).
    """

    points: list[dict[str, Any]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


def plane(points: Sequence[Mapping[str, Any]]) -> Plane:
    """Place points that have `x` and `y`, each a (value, low, high), on axes from 0 to a round number."""
    marks = {axis: ticks(max((point[axis][2] for point in points), default=0.0)) for axis in ("x", "y")}

    def at(axis: str, value: float) -> float:
        share = 100 * value / marks[axis][-1]
        return round(share if axis == "x" else 100 - share, 2)

    placed = [
        dict(point) | {f"{axis}_{end}": at(axis, v) for axis in "xy" for end, v in zip(ENDS, point[axis], strict=True)}
        for point in points
    ]
    _spread_labels(placed)
    x_ticks, y_ticks = ([(at(axis, mark), f"{mark:g}") for mark in marks[axis]] for axis in ("x", "y"))
    return Plane(placed, x_ticks, y_ticks)


def _spread_labels(points: list[dict[str, Any]]) -> None:
    """Give each point a `label_y`: its own height, or higher if other labels are near."""
    placed: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: -p["y_value"]):
        y = point["y_value"]
        for x, taken in placed:  # from the lowest up
            if abs(point["x_value"] - x) < LABEL_WIDTH and abs(y - taken) < LABEL_HEIGHT:
                y = taken - LABEL_HEIGHT
        placed = sorted([*placed, (point["x_value"], y)], key=lambda place: -place[1])
        point["label_y"] = round(y, 2)


class FrequencyBin(TypedDict):
    """A bin: its label, how many names it holds, and where its middle is, in percent of the width."""

    label: str
    names: int
    at: float


class FrequencyMark(TypedDict):
    """A system's accuracy in a bin: where it stands, in percent of the width; the others in percent, from the top."""

    system: str
    at: float
    value: float
    low: float
    high: float


class FrequencyPlot(TypedDict):
    """Accuracy by how often training names the entity, in one language and split.

    Attributes:
        y_ticks: (position in percent from the top, label).
    """

    language: str
    split: str
    bins: list[FrequencyBin]
    marks: list[FrequencyMark]
    y_ticks: list[tuple[float, str]]


def frequency_plots(records: Sequence[Mapping[str, Any]]) -> list[FrequencyPlot]:
    """Accuracy by how often training names the entity, ready to draw: a plot per language and split.

    Args:
        records: as `mella_hf.evaluation.reports.questions.rare_names` gives them.
    """
    plots: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        plots.setdefault((record["language"], record["split"]), []).append(record)
    return [_frequency_plot(language, split, shown) for (language, split), shown in plots.items()]


def _frequency_plot(language: str, split: str, records: Sequence[Mapping[str, Any]]) -> FrequencyPlot:
    labels = list(dict.fromkeys(record["bin"] for record in records))
    systems = list(dict.fromkeys(record["system"] for record in records))
    marks_y = ticks(max((record["high"] or 0.0 for record in records), default=0.0))
    width = 100 / len(labels)

    def mark(record: Mapping[str, Any]) -> FrequencyMark:
        # Systems stand beside each other in the middle of their bin, so that intervals do not hide one another.
        offset = (systems.index(record["system"]) - (len(systems) - 1) / 2) * min(0.2, 0.7 / len(systems))
        value, low, high = (round(100 - 100 * record[key] / marks_y[-1], 2) for key in _ACCURACY)
        at = round((labels.index(record["bin"]) + 0.5 + offset) * width, 2)
        return {"system": record["system"], "at": at, "value": value, "low": low, "high": high}

    return {
        "language": language,
        "split": split,
        "bins": [
            {
                "label": label,
                "names": max(record["keywords"] for record in records if record["bin"] == label),
                "at": round((place + 0.5) * width, 2),
            }
            for place, label in enumerate(labels)
        ],
        "marks": [mark(record) for record in records if record["accuracy"] is not None],
        "y_ticks": [(round(100 - 100 * value / marks_y[-1], 2), f"{value:g}") for value in marks_y],
    }


_ACCURACY = ("accuracy", "low", "high")
