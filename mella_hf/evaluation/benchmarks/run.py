"""Run external benchmarks: answer every row with every system, and score the answers.

    OUT/<system>/<name>.jsonl   one answer per row, with the right answer, and a .meta.json beside it
    OUT/<system>/<name>.json    the scores

Rows are answered in the same way as test splits: by a model in this process or a served model, in one process or in the
several processes of a launcher. Rows that already have an answer are skipped.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.answers import Answerer, Question, collect_answers, publish_answers
from mella_hf.answers.predictions import check_before_asking, describe_answers
from mella_hf.answers.records import ModelIdentity
from mella_hf.answers.systems import System
from mella_hf.compat import dataset_fingerprint
from mella_hf.errors import MellaError
from mella_hf.evaluation.benchmarks.items import BenchmarkItem, read_choice, read_item
from mella_hf.evaluation.benchmarks.mapping import Benchmark, load_rows
from mella_hf.evaluation.benchmarks.records import BenchmarkResult, SystemResult
from mella_hf.files import write_atomic
from mella_hf.images.opening import on_white
from mella_hf.metrics.rates import rate_interval

if TYPE_CHECKING:
    from datasets import Dataset

MAX_NEW_TOKENS = {"caption": 64, "choice": 16}


def run_benchmarks(
    benchmarks: Sequence[Benchmark],
    systems: Sequence[System],
    *,
    out: Path,
    batch_size: int = 16,
    device: str | None = None,
    progress: bool = True,
) -> Iterator[SystemResult]:
    """Run every benchmark with every system into `out/<system>/`; each system is loaded once.

    Under a launcher every process must iterate over this; the first one gets the results.
    """
    for system in systems if benchmarks else ():
        answerer, identity = system.answerer(device), system.identity()
        for benchmark in benchmarks:
            result = run_benchmark(
                benchmark,
                answerer,
                out=out / system.name,
                identity=identity,
                batch_size=batch_size,
                progress=progress,
            )
            if result is not None:
                yield {"system": system.name, **result}
        del answerer  # frees its memory before the next one is loaded


def check_benchmarks(benchmarks: Sequence[Benchmark], check_references: bool = True) -> None:
    """Read the questions of benchmarks, and check their references, before anything is answered.

    Raises:
        MellaError: if a dataset does not load, a column is missing, a row has no right answer, or references of
            captions are in another language; that only with `check_references`.
    """
    for benchmark in benchmarks:
        _, items = _read(benchmark)
        if benchmark.task == "caption":
            texts = [text for item in items for text in _worded(item)]
            check_before_asking(benchmark.name, benchmark.language, texts, check_references=check_references)


def _read(benchmark: Benchmark) -> "tuple[Dataset, list[BenchmarkItem]]":
    rows = load_rows(benchmark)
    asked = rows.remove_columns(list(benchmark.images))
    return rows, [read_item(benchmark, row, at) for at, row in enumerate(asked)]


def _worded(item: BenchmarkItem) -> list[str]:
    """The references of a caption that have a word to score against."""
    return [text for text in item.references if any(map(str.isalnum, text))]


def run_benchmark(
    benchmark: Benchmark,
    answerer: Answerer,
    *,
    out: Path | str,
    identity: ModelIdentity,
    batch_size: int = 16,
    progress: bool = True,
) -> BenchmarkResult | None:
    """Answer every row greedily and score the answers.

    Args:
        answerer: `mella_hf.answers.generate.LocalModel` or `mella_hf.answers.endpoint.Endpoint`.
        out: folder for `<name>.jsonl` and `<name>.json`.
        identity: the model's identity (`model_identity`).

    Returns:
        The content of `<name>.json`. Under a launcher only the first process gets a result, the others None.

    Raises:
        MellaError: if the dataset does not load, a column or image is missing, or a row has no right answer.
    """
    rows, items = _read(benchmark)
    path = Path(out) / f"{benchmark.name}.jsonl"
    limit = MAX_NEW_TOKENS[benchmark.task]
    settings = {
        "batch_size": batch_size,
        "max_new_tokens": limit,
        "decoding": "greedy",
        "images": dataset_fingerprint(rows),
    }
    meta = describe_answers(answerer, identity, settings, [[item.prompt, item.longest] for item in items])
    questions = [Question(f"{at:06}", item.prompt, item.longest) for at, item in enumerate(items)]
    answers = collect_answers(
        answerer,
        questions,
        lambda at: _open_images(benchmark, rows, at),
        out=path,
        mark=meta["fingerprint"],
        limit=limit,
        batch_size=batch_size,
        name=benchmark.name,
        progress=progress,
    )
    if answers is None:
        publish_answers(path, None, meta)
        return None
    told = [{"id": q.id, **answers[q.id], **item.__dict__} for q, item in zip(questions, items, strict=True)]
    publish_answers(path, told, {**meta, "notes": dict(answerer.notes)})
    predictions = [line["prediction"] for line in told]
    scores = (_score_captions if benchmark.task == "caption" else _score_choices)(benchmark, items, predictions)
    result: BenchmarkResult = {"benchmark": benchmark.__dict__, "model": identity, "scores": scores}
    write_atomic(path.with_suffix(".json"), json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


def benchmark_line(record: SystemResult) -> str:
    """A result as a line for the screen."""
    scores = record["scores"]
    name = "accuracy" if "accuracy" in scores else "meteor"
    beside = f"chance {scores['chance']:.1f}" if name == "accuracy" else f"floor {scores['meteor_floor'] or 0:.1f}"
    interval = f"[{scores[f'{name}_low']:.1f}, {scores[f'{name}_high']:.1f}]"
    where = f"{record['benchmark']['name']:12}{record['system']:8}n={scores['n']}"
    return f"{where}  {name} {scores[name]:.1f} {interval}, {beside}"


def _open_images(benchmark: Benchmark, rows: "Dataset", at: int) -> list[Any]:
    """Open the images of a row as RGB."""
    try:
        shown = rows[at]
        return [on_white(shown[name]) for name in benchmark.images]
    except (AttributeError, OSError, SyntaxError, ValueError) as error:  # no image, or Pillow's errors
        raise MellaError(
            f"Row {at} of {benchmark.path!r} has an image in {' and '.join(benchmark.images)} that cannot be opened "
            f"({error}); filter the row out."
        ) from error


def _score_captions(benchmark: Benchmark, items: Sequence[BenchmarkItem], answers: Sequence[str]) -> dict[str, Any]:
    from mella_hf.metrics import MellaMetric

    metric = MellaMetric(benchmark.language, progress=False)
    pairs = [(at, reference) for at, item in enumerate(items) for reference in _worded(item)]
    judged = metric.statistics(
        predictions=[answers[at] for at, _ in pairs], references=[text for _, text in pairs], check_references=False
    ).table()
    nearest: dict[int, tuple[float, str]] = {}
    for (at, reference), found in zip(pairs, judged, strict=True):
        if at not in nearest or found["meteor"] > nearest[at][0]:
            nearest[at] = found["meteor"], reference
    references = [nearest[at][1] for at in range(len(items))]
    scores = metric.compute(predictions=answers, references=references, check_references=False)
    return {**scores, "signature": scores["signature"] + "|refs:nearest-meteor"}


def _score_choices(benchmark: Benchmark, items: Sequence[BenchmarkItem], answers: Sequence[str]) -> dict[str, Any]:
    chosen = [read_choice(answer, item.options) for answer, item in zip(answers, items, strict=True)]
    right = sum(choice == item.right for choice, item in zip(chosen, items, strict=True))
    low, high = rate_interval(right, len(items))
    return {
        "accuracy": 100.0 * right / len(items),
        "accuracy_low": 100.0 * low,
        "accuracy_high": 100.0 * high,
        "chance": 100.0 * sum(1 / len(item.options) for item in items) / len(items),
        "unreadable_rate": sum(choice is None for choice in chosen) / len(items),
        "n": len(items),
    }
