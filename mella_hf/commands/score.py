"""`mella score`: score a file of predictions; print a table and write the scores as JSON."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Language, need_file
from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics

_RATES = ("empty", "repetition", "loop", "wrong_language", "wrong_script", "prompt_copy", "degenerate")


def score(
    predictions: Annotated[Path, typer.Argument(help="JSON lines with the keys id, prediction, reference.")],
    language: Language,
    against: Annotated[Path | None, typer.Option(help="A second system's JSON lines, with the same ids.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--output", help="Where to write the JSON; PREDICTIONS.scores.json by default."),
    ] = None,
    keyword_mode: Annotated[str, typer.Option(help="How keywords match: exact, stem or fuzzy.")] = "stem",
    items: Annotated[bool, typer.Option(help="Also write the scores of each item.")] = False,
    protocol: Annotated[str, typer.Option(help="mella, or paper (the author's averages; not comparable).")] = "mella",
) -> None:
    """Score answers against references, with 95% intervals and the floor.

    Each line of PREDICTIONS is a JSON object: id, prediction, reference, and if you have them keywords
    (a list) and prompt. With --against, a second file with the same ids (its references may be left
    out) is joined on the id, never on the order, and both systems are compared by a paired bootstrap and by
    approximate randomisation, whose p-values are also given corrected for the number of scores (Holm).

    Read a score against its floor, which is what the same answers score against another image's
    reference, and against the rates below the table. Scores compare only where the signatures are equal.
    """
    need_file("--against", against)
    if protocol not in ("mella", "paper"):
        raise MellaError(f"Unknown protocol {protocol!r}; choose one of mella, paper.")
    if protocol == "paper" and (against is not None or items):
        raise MellaError("The paper's protocol has no comparison and no item scores; leave out --against and --items.")
    first = read_predictions(predictions)
    from mella_hf.metrics import MellaMetric

    metric = MellaMetric(language, keyword_mode=keyword_mode, protocol=protocol)  # type: ignore[arg-type]
    if protocol == "paper":
        result: dict[str, Any] = {"scores": metric.compute(**_columns(first))}
        _print_plain(result["scores"])
    else:
        statistics = _statistics(metric, first)
        result = {"scores": _scored(metric, statistics, [row["id"] for row in first], items)}
        _print_scores(predictions.name, result["scores"])
        if against is not None:
            second = joined(first, read_predictions(against, needs_reference=False), against)
            result |= _compared(metric, statistics, second, items)
            _print_scores(against.name, result["scores_against"])
            _print_comparison(predictions.name, against.name, result["comparison"])
    destination = out or predictions.with_suffix(".scores.json")
    _write(destination, result)
    say(f"Wrote {destination}")
    finish(result, destination)


def read_predictions(path: Path, needs_reference: bool = True) -> list[dict[str, Any]]:
    """The rows of a predictions file, in order.

    Raises:
        MellaError: when the file is missing, empty or not UTF-8, a line is no JSON object, a key is missing or of
            the wrong type, or an id comes twice; the message names the file and the line.
    """
    if not path.is_file():
        raise MellaError(f"There is no file {path}; give a file of JSON lines.")
    try:
        text = path.read_text("utf-8-sig")  # with or without a byte-order mark
    except UnicodeDecodeError as error:
        raise MellaError(f"{path} is not UTF-8 ({error}); save it as UTF-8.") from error
    rows: list[dict[str, Any]] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 is text
        if not line.strip():
            continue
        row = _parse(line, f"{path}, line {number}", needs_reference)
        if row["id"] in lines:
            raise MellaError(f"{path}, line {number}: the id {row['id']!r} is on line {lines[row['id']]} already.")
        lines[row["id"]] = number
        rows.append(row)
    if not rows:
        raise MellaError(f"{path} has no predictions; each line is a JSON object with id, prediction, reference.")
    return rows


def _parse(line: str, where: str, needs_reference: bool) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise MellaError(f"{where}: not JSON ({error}).") from error
    if not isinstance(row, dict):
        raise MellaError(f"{where}: a JSON object was expected, not {type(row).__name__}.")
    for key in ("id", "prediction", "reference") if needs_reference else ("id", "prediction"):
        if row.get(key) is None:
            raise MellaError(f"{where}: the key {key!r} is missing.")
    for key in ("prediction", "reference"):
        if row.get(key) is not None and not isinstance(row[key], str):
            raise MellaError(f"{where}: {key!r} is {row[key]!r}; it must be a text.")
    keywords = row.get("keywords")
    if keywords is not None and not (isinstance(keywords, list) and all(isinstance(word, str) for word in keywords)):
        raise MellaError(f"{where}: 'keywords' is {keywords!r}; it must be a list of texts.")
    if not isinstance(row["id"], str | int):
        raise MellaError(f"{where}: the id is {row['id']!r}; it must be a text or a whole number.")
    row["id"] = str(row["id"])  # 7 and "7" are the same image
    return row


def joined(first: list[dict[str, Any]], second: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """The second system's rows in the first one's order, with the first one's references and keywords.

    Raises:
        MellaError: when an id is in one file only, or a reference differs; the message names it.
    """
    by_id = {row["id"]: row for row in second}
    missing = [row["id"] for row in first if row["id"] not in by_id]
    extra = sorted(set(by_id) - {row["id"] for row in first})
    for ids, fault in ((missing, "lacks"), (extra, "has, and the other file lacks,")):
        if ids:
            shown = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
            raise MellaError(f"{path} {fault} {len(ids)} ids: {shown}. Give two files with the same ids.")
    rows = []
    for row in first:
        other = by_id[row["id"]]
        if other.get("reference") not in (None, row["reference"]):
            raise MellaError(f"{path}: the reference of id {row['id']!r} is another than in the first file.")
        rows.append({**row, "prediction": other["prediction"]})
    return rows


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    keywords = [row.get("keywords") for row in rows]
    return {
        "predictions": [row["prediction"] for row in rows],
        "references": [row["reference"] for row in rows],
        "keywords": keywords if any(keywords) else None,
    }


def _statistics(metric: Any, rows: list[dict[str, Any]]) -> "ItemStatistics":
    prompts = list(dict.fromkeys(row["prompt"] for row in rows if row.get("prompt")))
    return metric.statistics(**_columns(rows), prompts=prompts or None)


def _scored(metric: Any, statistics: "ItemStatistics", ids: list[str], items: bool) -> dict[str, Any]:
    scores = metric.score(statistics)
    if items:
        scores["items"] = [{"id": name, **row} for name, row in zip(ids, statistics.table(), strict=True)]
    return scores


def _compared(metric: Any, statistics: "ItemStatistics", rows: list[dict[str, Any]], items: bool) -> dict[str, Any]:
    from mella_hf.metrics import compare
    from mella_hf.metrics.comparison import corrected
    from mella_hf.metrics.installed import all_scores
    from mella_hf.metrics.significance import resamples_for

    other = _statistics(metric, rows)
    resamples = max(metric.resamples, resamples_for(len(all_scores())))
    return {
        "scores_against": _scored(metric, other, [row["id"] for row in rows], items),
        "comparison": corrected({"": compare(statistics, other, resamples=resamples, seed=metric.seed)})[""],
    }


def _label(title: str) -> str:
    """A title as a row begins with it: "Keyword accuracy" in lower case, names such as "METEOR" as they are."""
    first = title.split()[0]
    return title[0].lower() + title[1:] if first.istitle() else title


def _cell(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console = Console()
    with console.capture() as drawn:
        console.print(table)
    say(drawn.get().rstrip("\n"))


def _print_scores(name: str, scores: dict[str, Any]) -> None:
    from mella_hf.metrics.installed import all_scores

    rows = [
        [_label(shown.full_title), _cell(scores[key])]
        + [f"{_cell(scores[f'{key}_low'])} - {_cell(scores[f'{key}_high'])}", _cell(scores[f"{key}_floor"])]
        for key, shown in all_scores().items()
        if scores[key] is not None
    ]
    _table(f"{name} ({scores['n']} items)", ["", "score", "95% interval", "floor"], rows)
    rates = [f"{rate.replace('_', ' ')} {100 * scores[f'{rate}_rate']:.1f}%" for rate in _RATES]
    say(f"Answers: {', '.join(rates)}; length ratio {_cell(scores['length_ratio'])}")
    say(scores["signature"])


def _print_comparison(first: str, second: str, comparison: dict[str, Any]) -> None:
    from mella_hf.metrics.installed import all_scores

    rows = [
        [
            _label(shown.title),
            _cell(comparison[f"{key}_first"]),
            _cell(comparison[f"{key}_second"]),
            f"{comparison[f'{key}_delta']:+.2f}",
            f"{comparison[f'{key}_delta_low']:+.2f} - {comparison[f'{key}_delta_high']:+.2f}",
            _cell(comparison[f"{key}_p_bootstrap"], 4),
            _cell(comparison[f"{key}_p_randomization"], 4),
            _cell(comparison[f"{key}_p_randomization_holm"], 4),
        ]
        for key, shown in all_scores().items()
        if comparison[f"{key}_delta"] is not None
    ]
    columns = ["", "first", "second", "difference", "95% interval", "p boot.", "p rand.", "p Holm"]
    _table(f"{second} against {first}", columns, rows)


def _print_plain(scores: dict[str, Any]) -> None:
    rows = [[name, _cell(value, 4)] for name, value in scores.items() if name not in ("n", "signature")]
    _table(f"The paper's protocol: not comparable ({scores['n']} items)", ["", "mean of item scores"], rows)
    say(scores["signature"])


def _write(path: Path, result: dict[str, Any]) -> None:
    from mella_hf.files import write_atomic

    write_atomic(path, json.dumps(result, ensure_ascii=False, indent=2) + "\n")
