"""`mella score`: score a file of predictions; print a table and write the scores as JSON."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import CheckReferences, DataDir, Language, need_file
from mella_hf.errors import MellaError
from mella_hf.files import check_place

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics
    from mella_hf.metrics.predictions.stored_rows import StoredRows

_TEXTS = 1000  # references in which names are found at a time
_RATES = ("empty", "repetition", "loop", "wrong_language", "wrong_script", "prompt_copy", "degenerate")


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="JSON lines, CSV, a workbook or Parquet with the keys id, prediction, reference; or what "
            "LLaMA-Factory, ms-swift, lmms-eval, VLMEvalKit, InternVL, HELM or vLLM's batches wrote."
        ),
    ],
    language: Language,
    against: Annotated[Path | None, typer.Option(help="A second system's file, with the same ids.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--output", help="Where to write the JSON; PREDICTIONS.scores.json by default."),
    ] = None,
    keyword_mode: Annotated[str, typer.Option(help="How keywords match: exact, stem or fuzzy.")] = "stem",
    keyword_plain: Annotated[
        bool, typer.Option("--keyword-plain", help="Keywords match without diacritics, too: Nisu names Niš.")
    ] = False,
    answer_cleaning: Annotated[
        bool,
        typer.Option("--answer-cleaning", help='Score answers without <think> blocks, "Answer:" and Markdown.'),
    ] = False,
    ner: Annotated[
        str | None,
        typer.Option(
            help="Find keywords in references that have none: by a token-classification model of transformers "
            "(folder or Hub id), or by our rules (rules)."
        ),
    ] = None,
    items: Annotated[bool, typer.Option(help="Also write the scores of each item.")] = False,
    id_key: Annotated[str | None, typer.Option("--id", help="Key of the ids, where it is not recognised.")] = None,
    prediction_key: Annotated[
        str | None, typer.Option("--prediction", help="Key of the answers; a dot leads into objects: a.b.0.c.")
    ] = None,
    reference_key: Annotated[str | None, typer.Option("--reference", help="Key of the references.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Test split of the dataset to take references and keywords from, by id.")
    ] = None,
    data_dir: DataDir = None,
    check_references: CheckReferences = True,
    check: Annotated[
        bool,
        typer.Option("--check", help="Recompute with sacrebleu, rouge_score and nltk, and print the differences."),
    ] = False,
    protocol: Annotated[str, typer.Option(help="mella, or paper (the author's averages; not comparable).")] = "mella",
) -> None:
    """Score answers against references, with 95% intervals and the floor.

    Each row of PREDICTIONS has id, prediction, reference, and if you have them keywords (a list) and prompt.
    JSON and CSV may be compressed (.gz, .bz2, .zst). Files of other programs are recognised by their keys, and the
    command says what it took for what; with --split their references and keywords come from the dataset, joined on
    the id.

    With --against, a second file with the same ids (its references may be left out) is joined on the id, never on the
    order, and both systems are compared by a paired bootstrap and by approximate randomisation, whose p-values are
    also given corrected for the number of scores (Holm).

    Read a score against its floor, which is what the same answers score against another image's
    reference, and against the rates below the table. Scores compare only where the signatures are equal.
    """
    if predictions.is_dir():
        need_file("PREDICTIONS", predictions)
    need_file("--against", against)
    if protocol not in ("mella", "paper"):
        raise MellaError(f"Unknown protocol {protocol!r}; choose one of mella, paper.")
    if protocol == "paper" and (against is not None or items or check):
        raise MellaError(
            "The paper's protocol has no comparison, no item scores and no check; leave out --against, --items and "
            "--check."
        )
    from mella_hf.metrics import MellaMetric
    from mella_hf.metrics.peers import differences
    from mella_hf.metrics.predictions.join import joined, with_references
    from mella_hf.metrics.predictions.read import read_predictions

    destination = out or predictions.with_suffix(".scores.json")
    check_place("--out", destination)
    keys = {"id": id_key, "prediction": prediction_key, "reference": reference_key}
    known = _references(language, split, data_dir)
    aside = next(folder for folder in destination.absolute().parents if folder.is_dir())
    first, found = read_predictions(predictions, keys, needs_reference=known is None, folder=aside)
    if found.name != "mella":
        say(f"{predictions.name} is read as {found}")
    if known is not None:
        first = with_references(first, known, found, predictions)

    first, keywords_by = _with_keywords(first, ner, language)
    second = None
    if against is not None:
        other, theirs = read_predictions(against, keys, needs_reference=False, folder=aside)
        if theirs.name != "mella":
            say(f"{against.name} is read as {theirs}")
        if known is not None:
            other = with_references(other, known, theirs, against)
        second = joined(first, other, against, by_place=None in (found.id, theirs.id))
    metric = MellaMetric(
        language,
        keyword_mode=keyword_mode,  # type: ignore[arg-type]
        protocol=protocol,  # type: ignore[arg-type]
        keyword_plain=keyword_plain,
        answer_cleaning=answer_cleaning,
        keywords_by=keywords_by,
    )
    if protocol == "paper":
        result: dict[str, Any] = {"scores": metric.compute(**_columns(first))}
        _print_plain(result["scores"])
    else:
        statistics = _statistics(metric, first, check_references)
        result = {"scores": _scored(metric, statistics, first.column("id"), items)}
        _print_scores(predictions.name, result["scores"])
        if check:
            predicted, expected = (list(first.column(key)) for key in ("prediction", "reference"))
            result["check"] = differences(result["scores"], metric.answers(predicted), expected, metric.language)
            _print_check(result["check"])
        if against is not None and second is not None:
            result |= _compared(metric, statistics, second, items)
            _print_scores(against.name, result["scores_against"])
            _print_comparison(predictions.name, against.name, result["comparison"])
    _write(destination, result)
    say(f"Wrote {destination}")
    finish(result, destination)


def _references(language: str, split: str | None, data_dir: Path | None) -> dict[str, dict[str, Any]] | None:
    """Reference and keywords of each row of a test split, by id; None without a split."""
    if split is None:
        if data_dir is not None:
            raise MellaError(
                "--data-dir was given without --split; name the split of the references, as in --split know_test."
            )
        return None
    from datasets import load_dataset

    rows = load_dataset("mella", language, split=split, data_dir=None if data_dir is None else str(data_dir))
    columns = rows.select_columns(["id", "text", "keywords", "keywords_by"]).to_list()
    return {row.pop("id"): {"reference": row.pop("text"), **row} for row in columns}


def _with_keywords(rows: "StoredRows", ner: str | None, language: str) -> tuple["StoredRows", str]:
    """The rows with keywords where they had none, and what found them, for the signature; as they are without `ner`."""
    if ner is None:
        return rows, ""
    bare = sum(row.get("keywords") is None for row in rows)
    if not bare:
        return rows, ""
    if bare < len(rows):
        raise MellaError(
            f"{len(rows) - bare} of {len(rows)} items have keywords and {bare} have none; found ones would "
            "be mixed with given ones. Leave out --ner, or the keywords of all."
        )
    from mella_hf.metrics.names.finders import finder_title, names_finder

    found = names_finder(ner, language)

    def with_names() -> Iterator[dict[str, Any]]:
        for start in range(0, len(rows), _TEXTS):
            some = rows[start : start + _TEXTS]
            for row, names in zip(some, found([row["reference"] for row in some]), strict=True):
                yield {**row, "keywords": names}

    return rows.changed(with_names()), finder_title(ner)


def _columns(rows: "StoredRows") -> dict[str, Any]:
    keywords = rows.column("keywords", ())
    return {
        "predictions": rows.column("prediction"),
        "references": rows.column("reference"),
        "keywords": keywords if any(keywords) else None,
    }


def _found_by(rows: "StoredRows") -> set[str]:
    """What found the keywords, where a dataset says it."""
    return {name for name in rows.column("keywords_by") if name}


def _statistics(metric: Any, rows: "StoredRows", check_references: bool = False) -> "ItemStatistics":
    prompts = list(dict.fromkeys(prompt for prompt in rows.column("prompt") if prompt))
    return metric.statistics(
        **_columns(rows), keywords_by=_found_by(rows), prompts=prompts or None, check_references=check_references
    )


def _scored(metric: Any, statistics: "ItemStatistics", ids: Sequence[str], items: bool) -> dict[str, Any]:
    scores = metric.score(statistics)
    if items:
        scores["items"] = [{"id": name, **row} for name, row in zip(ids, statistics.table(), strict=True)]
    return scores


def _compared(metric: Any, statistics: "ItemStatistics", rows: "StoredRows", items: bool) -> dict[str, Any]:
    from mella_hf.metrics import compare
    from mella_hf.metrics.comparison import corrected
    from mella_hf.metrics.installed import all_scores
    from mella_hf.metrics.significance import resamples_for

    other = _statistics(metric, rows)
    resamples = max(metric.resamples, resamples_for(len(all_scores())))
    return {
        "scores_against": _scored(metric, other, rows.column("id"), items),
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


def _print_check(check: dict[str, dict[str, Any]]) -> None:
    rows = [
        [name, _cell(row["ours"], 4), _cell(row["theirs"], 4), f"{row['difference']:+.4f}", row["by"]]
        for name, row in check.items()
    ]
    _table("The same tokens, scored by others", ["", "ours", "theirs", "difference", "by"], rows)


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
