"""Read the YAML file that maps the columns of an external benchmark, and load its rows.

Captions (XM3600 and similar): one or more references per image.

    name: xm3600
    language: th
    task: caption
    path: google/xm3600            # a Hub repository or a local folder, as load_dataset takes them
    config: th                     # optional, as is split (test)
    images: [image]
    references: captions           # a text, or a list of them

Choices (CVQA, MaRVL, M5 and similar): a question, options and the index of the right one. The options are a column, or
the same for all rows. MaRVL shows two images and asks whether a sentence is true.

    name: marvl
    language: sw
    task: choice
    path: floschne/marvl
    images: [image_left, image_right]
    question: hypothesis
    options: ["No", "Yes"]
    answer: label                  # the index of the right option from 0, its letter, or its text
    prompt: "{question}\\n{options}\\nAnswer with the letter."
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mella_hf.errors import MellaError
from mella_hf.languages import get_language

if TYPE_CHECKING:
    from datasets import Dataset

TASKS = ("caption", "choice")


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


def load_rows(benchmark: Benchmark) -> "Dataset":
    """The rows with the mapped columns only. Raises MellaError when they do not load, lack a column, or are none."""
    from datasets import load_dataset

    try:
        rows = load_dataset(benchmark.path, benchmark.config, split=benchmark.split)
    except (OSError, ValueError) as error:  # datasets' own errors derive from these
        raise MellaError(f"Cannot load the split {benchmark.split!r} of {benchmark.path!r}: {error}") from error
    for name in benchmark.columns:
        if name not in rows.column_names:
            raise MellaError(f"{benchmark.path!r} has no column {name!r}; it has {', '.join(rows.column_names)}.")
    if not len(rows):
        raise MellaError(f"The split {benchmark.split!r} of {benchmark.path!r} has no rows; choose another.")
    rows = rows.select_columns(list(dict.fromkeys(benchmark.columns)))
    return rows.select(range(min(benchmark.limit, len(rows)))) if benchmark.limit else rows
