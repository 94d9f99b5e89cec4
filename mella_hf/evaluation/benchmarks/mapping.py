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
        language: language of the answers; for captions a code of `mella_hf.languages`, for choices any name.
        images: columns with the images of a row, in order.
        references: column with the reference caption or captions.
        question: column with the question (choices).
        options: column with the options, or the options themselves.
        answer: column with the right option.
        prompt: user turn; may contain {question} and {options}. For captions the language's ling prompt by default.
        limit: maximum number of rows, from the start; all by default.
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
        """The columns that the mapping reads."""
        named = (self.references, self.question, self.options if isinstance(self.options, str) else None, self.answer)
        return [*self.images, *(name for name in named if name is not None)]


def read_benchmark(path: Path | str) -> Benchmark:
    """Read a column mapping. Raises MellaError with the wrong or missing key."""
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
    """Load the rows with the mapped columns only. Raises MellaError if loading fails, or something is missing."""
    from datasets import load_dataset

    try:
        rows = load_dataset(benchmark.path, benchmark.config, split=benchmark.split)
    except (OSError, ValueError) as error:  # datasets' own errors are subclasses of these
        raise MellaError(f"Cannot load the split {benchmark.split!r} of {benchmark.path!r}: {error}") from error
    for name in benchmark.columns:
        if name not in rows.column_names:
            raise MellaError(f"{benchmark.path!r} has no column {name!r}; it has {', '.join(rows.column_names)}.")
    if not len(rows):
        raise MellaError(f"The split {benchmark.split!r} of {benchmark.path!r} has no rows; choose another.")
    rows = rows.select_columns(list(dict.fromkeys(benchmark.columns)))
    return rows.select(range(min(benchmark.limit, len(rows)))) if benchmark.limit else rows
