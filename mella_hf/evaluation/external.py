"""A YAML that says which column is what in someone's benchmark goes in; answers about its images and scores leave.

Captions (XM3600 and its like): one or more references an image.

    name: xm3600
    language: th
    task: caption
    path: google/xm3600            # a Hub repository or a local folder, as load_dataset takes them
    config: th                     # optional, as is split (test)
    images: [image]
    references: captions           # a text, or a list of them

Choices (CVQA, MaRVL, M5-like): a question, options and the place of the right one. Options are a column, or the same
for all rows; MaRVL shows two images and asks whether a sentence is true.

    name: marvl
    language: sw
    task: choice
    path: floschne/marvl
    images: [image_left, image_right]
    question: hypothesis
    options: ["No", "Yes"]
    answer: label                  # the place of the right option, from 0, its letter, or its text
    prompt: "{question}\\n{options}\\nAnswer with the letter."
"""

import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mella_hf.errors import MellaError
from mella_hf.evaluation.generate import LocalModel, answer_batch
from mella_hf.evaluation.long_tail import wilson_interval
from mella_hf.evaluation.systems import System
from mella_hf.languages import get_language
from mella_hf.stage import fingerprint, write_atomic

if TYPE_CHECKING:
    from datasets import Dataset

TASKS = ("caption", "choice")
CHOICE_PROMPT = "{question}\n{options}"
MAX_NEW_TOKENS = {"caption": 64, "choice": 16}


@dataclass(frozen=True)
class Benchmark:
    """A column mapping; the keys of the YAML.

    Attributes:
        language: of the answers: a code that `mella_hf.languages` has for captions, any name for choices.
        images: columns of the images that a row shows, in order.
        references: column with the text or texts of a caption.
        question: column with the question of a choice.
        options: column with the options, or the options themselves.
        answer: column with the right one.
        prompt: user turn; may name {question} and {options}. The language's ling prompt for captions by default.
        limit: rows at most, from the start; all by default.
    """

    name: str
    language: str
    task: str
    path: str
    images: Sequence[str] = ("image",)
    config: str | None = None
    split: str = "test"
    references: str | None = None
    question: str | None = None
    options: str | Sequence[str] | None = None
    answer: str | None = None
    prompt: str | None = None
    limit: int | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that it reads."""
        named = (self.references, self.question, self.options if isinstance(self.options, str) else None, self.answer)
        return [*self.images, *(name for name in named if name is not None)]


def read_benchmark(path: Path | str) -> Benchmark:
    """A column mapping from its file. Raises MellaError, naming the key that is wrong or missing."""
    try:
        entry = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise MellaError(f"Cannot read the benchmark {str(path)!r}: {error}") from error
    known = [field.name for field in fields(Benchmark)]
    if not isinstance(entry, dict) or (unknown := sorted(set(entry) - set(known))):
        what = f"an unknown key {unknown[0]!r}" if isinstance(entry, dict) else "no keys"
        raise MellaError(f"The benchmark {str(path)!r} has {what}; choose among {', '.join(known)}.")
    if entry.get("task") not in TASKS:
        raise MellaError(f"The benchmark {str(path)!r} has task {entry.get('task')!r}; choose {' or '.join(TASKS)}.")
    needed = ["name", "language", "path"]
    needed += ["references"] if entry["task"] == "caption" else ["options", "answer"]
    if missing := [key for key in needed if not entry.get(key)]:
        raise MellaError(f"The benchmark {str(path)!r} lacks the key {missing[0]!r}.")
    if entry["task"] == "caption":
        get_language(entry["language"])
    return Benchmark(**entry)


def run_benchmark(
    benchmark: Benchmark,
    model: Any,
    processor: Any,
    *,
    out: Path | str,
    identity: Mapping[str, Any],
    batch_size: int = 16,
    progress: bool = True,
) -> dict[str, Any]:
    """Answer every row, greedily, and score the answers.

    Args:
        model, processor: as `mella_hf.evaluation.models.load_model` gives them.
        out: a folder; `<name>.jsonl` with an answer a row, resumed where it was cut short, and `<name>.json`.
        identity: of the model (`model_identity`).

    Returns:
        What `<name>.json` holds: benchmark, model, and scores. For captions those of `MellaMetric`, each image judged
        by the reference that its answer is nearest to (METEOR). For choices `accuracy` in [0, 100] with its 95% Wilson
        interval, `chance`, and `unreadable_rate`: answers that name no option, which count as wrong.

    Raises:
        MellaError: when the dataset does not load, lacks a column, or a row has no right answer.
    """
    rows = load_rows(benchmark)
    turns = [_turn(benchmark, row, at) for at, row in enumerate(rows.remove_columns(list(benchmark.images)))]
    path = Path(out) / f"{benchmark.name}.jsonl"
    answers = _answer(benchmark, rows, turns, model, processor, path, identity, batch_size, progress)
    scores = (_score_captions if benchmark.task == "caption" else _score_choices)(benchmark, turns, answers)
    result = {"benchmark": benchmark.__dict__, "model": dict(identity), "scores": scores}
    write_atomic(path.with_suffix(".json"), json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


def load_rows(benchmark: Benchmark) -> "Dataset":
    """The rows with the mapped columns only. Raises MellaError when they do not load, or lack a column."""
    from datasets import load_dataset

    try:
        rows = load_dataset(benchmark.path, benchmark.config, split=benchmark.split)
    except (OSError, ValueError) as error:  # datasets' own errors derive from these
        raise MellaError(f"Cannot load the split {benchmark.split!r} of {benchmark.path!r}: {error}") from error
    for name in benchmark.columns:
        if name not in rows.column_names:
            raise MellaError(f"{benchmark.path!r} has no column {name!r}; it has {', '.join(rows.column_names)}.")
    rows = rows.select_columns(list(dict.fromkeys(benchmark.columns)))
    return rows.select(range(min(benchmark.limit, len(rows)))) if benchmark.limit else rows


def run_benchmarks(
    benchmarks: Sequence[Benchmark],
    systems: Sequence[System],
    *,
    out: Path,
    batch_size: int = 16,
    device: str | None = None,
) -> Iterator[dict[str, Any]]:
    """`run_benchmark` of every benchmark with every system, each loaded once, into `out/<system>/`."""
    for system in systems if benchmarks else ():
        answerer, identity = system.answerer(device), system.identity()
        if not isinstance(answerer, LocalModel):
            raise MellaError(f"External benchmarks ask models in this process; {system.name!r} is served elsewhere.")
        for benchmark in benchmarks:
            result = run_benchmark(
                benchmark,
                answerer.model,
                answerer.processor,
                out=out / system.name,
                identity=identity,
                batch_size=batch_size,
            )
            yield {"system": system.name, **result}
        del answerer  # frees its memory before the next one is loaded


def benchmark_line(record: Mapping[str, Any]) -> str:
    """A result for the screen."""
    scores = record["scores"]
    name = "accuracy" if "accuracy" in scores else "meteor"
    beside = f"chance {scores['chance']:.1f}" if name == "accuracy" else f"floor {scores['meteor_floor'] or 0:.1f}"
    interval = f"[{scores[f'{name}_low']:.1f}, {scores[f'{name}_high']:.1f}]"
    where = f"{record['benchmark']['name']:12}{record['system']:8}n={scores['n']}"
    return f"{where}  {name} {scores[name]:.1f} {interval}, {beside}"


@dataclass(frozen=True)
class Turn:
    """What a row asks, and what is right: the references, or the options and the place of the right one."""

    prompt: str
    references: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    right: int = -1


def _turn(benchmark: Benchmark, row: Mapping[str, Any], at: int) -> Turn:
    if benchmark.task == "caption":
        found = row[str(benchmark.references)]
        references = tuple([found] if isinstance(found, str) else found or ())
        if not any(text.strip() for text in references):
            raise MellaError(f"Row {at} of {benchmark.path!r} has no text in {benchmark.references!r}; filter it out.")
        return Turn(benchmark.prompt or get_language(benchmark.language).test_prompt("ling"), references)
    given = row[benchmark.options] if isinstance(benchmark.options, str) else benchmark.options
    options = tuple(map(str, given or ()))
    question = str(row[benchmark.question]) if benchmark.question else ""
    lettered = "\n".join(f"{letter}. {text}" for letter, text in zip(string.ascii_uppercase, options, strict=False))
    prompt = (benchmark.prompt or CHOICE_PROMPT).replace("{question}", question).replace("{options}", lettered)
    answer = row[str(benchmark.answer)]
    right = int(answer) if isinstance(answer, int) else read_choice(str(answer), options)
    if right is None or not 0 <= right < len(options):
        raise MellaError(f"Row {at} of {benchmark.path!r} says that {answer!r} is right, of {len(options)} options.")
    return Turn(prompt, options=options, right=right)


def read_choice(answer: str, options: Sequence[str]) -> int | None:
    """Which option an answer names: by its text alone, its letter at the start, or the one text in it; None if none."""
    said = answer.strip().casefold()
    texts = [option.strip().casefold() for option in options]
    if said in texts:
        return texts.index(said)
    if (match := re.match(r"\(?([a-z])(?:[\s.):,]|$)", said)) and ord(match[1]) - ord("a") < len(options):
        return ord(match[1]) - ord("a")
    named = [at for at, text in enumerate(texts) if text and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", said)]
    return named[0] if len(named) == 1 else None


def _answer(
    benchmark: Benchmark,
    rows: "Dataset",
    turns: Sequence[Turn],
    model: Any,
    processor: Any,
    path: Path,
    identity: Mapping[str, Any],
    batch_size: int,
    progress: bool,
) -> list[str]:
    """The answer to each row; a batch is written when it is done, and is not computed again."""
    from tqdm import tqdm

    content = {key: identity[key] for key in ("base_hash", "adapter_hash")}
    prompts = [turn.prompt for turn in turns]
    mark = fingerprint(content, prompts, rows._fingerprint, batch_size, MAX_NEW_TOKENS[benchmark.task])
    done = _read(path, mark)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(rows), desc=f"answers {benchmark.name}", unit="row", disable=not progress) as bar:
        for start in range(0, len(rows), batch_size):
            batch = range(start, min(start + batch_size, len(rows)))
            if not all(at in done for at in batch):
                pictures = [[rows[at][name].convert("RGB") for name in benchmark.images] for at in batch]
                said = answer_batch(
                    model, processor, pictures, prompts[start : batch.stop], MAX_NEW_TOKENS[benchmark.task]
                )
                texts = {at: answer["prediction"] for at, answer in zip(batch, said, strict=True)}
                lines = [
                    json.dumps({"fingerprint": mark, "row": at, "prediction": t}, ensure_ascii=False)
                    for at, t in texts.items()
                ]
                with open(path, "a", encoding="utf-8") as file:
                    file.write("\n" + "\n".join(lines) + "\n")  # the leading newline closes a line cut short
                done |= texts
            bar.update(len(batch))
    return [done[at] for at in range(len(rows))]


def _read(path: Path, mark: str) -> dict[int, str]:
    """Answers of this fingerprint by row; a line that a kill cut short is none."""
    done: dict[int, str] = {}
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["fingerprint"] == mark:
            done[record["row"]] = record["prediction"]
    return done


def _score_captions(benchmark: Benchmark, turns: Sequence[Turn], answers: Sequence[str]) -> dict[str, Any]:
    from mella_hf.metrics import MellaMetric

    metric = MellaMetric(benchmark.language, progress=False)
    pairs = [(at, reference) for at, turn in enumerate(turns) for reference in turn.references if reference.strip()]
    items = metric.statistics(
        predictions=[answers[at] for at, _ in pairs], references=[text for _, text in pairs], check_references=False
    ).table()
    nearest: dict[int, tuple[float, str]] = {}
    for (at, reference), item in zip(pairs, items, strict=True):
        if at not in nearest or item["meteor"] > nearest[at][0]:
            nearest[at] = item["meteor"], reference
    references = [nearest[at][1] for at in range(len(turns))]
    scores = metric.compute(predictions=answers, references=references)
    return {**scores, "signature": scores["signature"] + "|refs:nearest-meteor"}


def _score_choices(benchmark: Benchmark, turns: Sequence[Turn], answers: Sequence[str]) -> dict[str, Any]:
    chosen = [read_choice(answer, turn.options) for answer, turn in zip(answers, turns, strict=True)]
    right = sum(choice == turn.right for choice, turn in zip(chosen, turns, strict=True))
    low, high = wilson_interval(right, len(turns))
    return {
        "accuracy": 100.0 * right / len(turns),
        "accuracy_low": 100.0 * low,
        "accuracy_high": 100.0 * high,
        "chance": 100.0 * sum(1 / len(turn.options) for turn in turns) / len(turns),
        "unreadable_rate": sum(choice is None for choice in chosen) / len(turns),
        "n": len(turns),
    }
