"""Read the YAML file that maps the columns of an external benchmark, and load its rows.

Captions (XM3600 and similar): one or more references per image.

    name: mine
    language: th
    task: caption
    path: org/captions             # a Hub repository or a local folder, as load_dataset takes them
    config: th                     # optional, as is split (test)
    images: [image]
    references: captions           # a text, or a list of them

Choices (CVQA, MaRVL, M5 and similar): a question, options and the index of the right one. The options are a column, or
the same for all rows.

    name: quiz
    language: sw
    task: choice
    path: org/quiz
    images: [left, right]
    question: hypothesis
    options: ["No", "Yes"]
    answer: label                  # the index of the right option from 0, its letter, or its text
    where: {topic: food}           # only rows whose column contains the text
    prompt: "{question}\\n{options}\\nAnswer with the letter."

A file about several languages has `languages` instead of `language`: a list of codes, or for each code the keys that
differ. "{language}" in a text stands for the code. recipes/benchmarks has such files for XM3600, CVQA and MaRVL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mella_hf.errors import MellaError
from mella_hf.files import resource_folder
from mella_hf.hub_errors import no_endless_wait
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
        where: by column, a text that its value must contain for a row to count.
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
    where: Mapping[str, str] | None = None
    limit: int | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that the mapping reads."""
        named = (self.references, self.question, self.options if isinstance(self.options, str) else None, self.answer)
        return [*self.images, *(name for name in named if name is not None), *(self.where or ())]


_KEYS = [field.name for field in fields(Benchmark)]


def read_benchmarks(choice: str, languages: Sequence[str]) -> list[Benchmark]:
    """The benchmarks that a value of `--benchmark` names.

    Args:
        choice: a file; or the name of one that is shipped, such as "xm3600", alone or with languages: "marvl:sw,tr".
        languages: codes for a file about several languages, where the choice names none.

    Raises:
        MellaError: when there is no such file, it is wrong, or it has none of the languages.
    """
    name, _, codes = choice.partition(":")
    shipped = shipped_benchmarks()
    if Path(choice).is_file():
        path, wanted = Path(choice), list(languages)
    elif name in shipped:
        path, wanted = shipped[name], codes.split(",") if codes else list(languages)
    else:
        raise MellaError(f"There is no benchmark {choice!r}; give a YAML file, or one of {', '.join(shipped)}.")
    entry = _read_entry(path)
    if "languages" not in entry:
        return [read_benchmark(path)]
    covered = entry.pop("languages")
    found = [code for code in dict.fromkeys(wanted) if code in covered]
    if not found:
        raise MellaError(
            f"The benchmark {choice!r} has no rows in {', '.join(wanted)}; it covers {', '.join(covered)}."
        )
    return [_in_language(entry, code, covered, path) for code in found]


def shipped_benchmarks() -> dict[str, Path]:
    """The benchmark files of recipes/benchmarks by name."""
    return {path.stem: path for path in sorted((resource_folder("recipes") / "benchmarks").glob("*.yaml"))}


def _in_language(entry: Mapping[str, Any], code: str, covered: Any, path: Path) -> Benchmark:
    """The benchmark of one language of a file about several."""
    own = covered[code] if isinstance(covered, Mapping) else {}
    told = {"language": code, **entry, **own}
    filled = {
        key: value.replace("{language}", code) if isinstance(value, str) else value for key, value in told.items()
    }
    return _checked(filled | {"name": f"{entry.get('name')}-{code}"}, path)


def read_benchmark(path: Path | str) -> Benchmark:
    """Read a column mapping. Raises MellaError with the wrong or missing key."""
    return _checked(_read_entry(path), path)


def _read_entry(path: Path | str) -> dict[str, Any]:
    try:
        entry = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise MellaError(f"The benchmark {str(path)!r} cannot be read: {error}. Give a file of YAML.") from error
    if not isinstance(entry, dict):
        raise MellaError(f"The benchmark {str(path)!r} has no keys; choose among {', '.join(_KEYS)}.")
    return entry


def _checked(entry: dict[str, Any], path: Path | str) -> Benchmark:
    unknown = sorted(set(entry) - set(_KEYS))
    if unknown:
        raise MellaError(
            f"The benchmark {str(path)!r} has an unknown key {unknown[0]!r}; choose among {', '.join(_KEYS)}."
        )
    if entry.get("task") not in TASKS:
        raise MellaError(f"The benchmark {str(path)!r} has task {entry.get('task')!r}; choose {' or '.join(TASKS)}.")
    needed = ["name", "language", "path"]
    needed += ["references"] if entry["task"] == "caption" else ["options", "answer"]
    missing = [key for key in needed if not entry.get(key)]
    if missing:
        raise MellaError(f"The benchmark {str(path)!r} lacks the key {missing[0]!r}; add it.")
    if entry["task"] == "caption":
        get_language(entry["language"])
    return Benchmark(**entry)


@no_endless_wait()
def load_rows(benchmark: Benchmark) -> "Dataset":
    """Load the rows with the mapped columns only. Raises MellaError if loading fails, or something is missing."""
    from datasets import Image, load_dataset
    from huggingface_hub.errors import HTTPError

    try:
        rows = load_dataset(benchmark.path, benchmark.config, split=benchmark.split)
    except (HTTPError, OSError, ValueError) as error:  # datasets' own errors are subclasses of the last two
        raise MellaError(
            f"Cannot load the split {benchmark.split!r} of {benchmark.path!r}: {error}. Mend `path`, `config` or "
            f"`split` of the benchmark {benchmark.name!r}."
        ) from error
    for name in benchmark.columns:
        if name not in rows.column_names:
            raise MellaError(f"{benchmark.path!r} has no column {name!r}; it has {', '.join(rows.column_names)}.")
    for name, text in (benchmark.where or {}).items():
        rows = rows.select([at for at, value in enumerate(rows[name]) if text in str(value)])
    if not len(rows):
        raise MellaError(f"The split {benchmark.split!r} of {benchmark.path!r} has no such rows; choose another.")
    rows = rows.select_columns(list(dict.fromkeys(benchmark.columns)))
    for name in benchmark.images:
        if not isinstance(rows.features[name], Image):  # some repositories hold the bytes as plain columns
            rows = rows.cast_column(name, Image())
    return rows.select(range(min(benchmark.limit, len(rows)))) if benchmark.limit else rows
