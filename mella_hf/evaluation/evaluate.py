"""Evaluate from end to end: answer, score, compare and report, for `mella evaluate` and `mella_hf.evaluate`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.systems import System, line_up, named
from mella_hf.errors import MellaError
from mella_hf.evaluation.benchmarks.mapping import read_benchmarks
from mella_hf.evaluation.benchmarks.records import SystemResult
from mella_hf.evaluation.benchmarks.run import benchmark_line, check_benchmarks, run_benchmarks
from mella_hf.evaluation.paired import (
    AnswerFile,
    compare_runs,
    comparison_cells,
    comparison_line,
    holds_runs,
    name_runs,
    read_answer_files,
)
from mella_hf.evaluation.reports.comparison import write_comparison
from mella_hf.evaluation.reports.report import write_report
from mella_hf.evaluation.reports.systems import check_names
from mella_hf.evaluation.run import Run, evaluate_runs, load_run, score_line
from mella_hf.evaluation.titles import metric_titles
from mella_hf.html.notebook import html_table, page_link
from mella_hf.languages.codes import read_codes
from mella_hf.locks import sole_writer

if TYPE_CHECKING:
    from mella_hf.metrics.comparison import Comparison

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        out: its folder.
        runs: the run of each language; empty in all but the first process of `accelerate launch`.
        comparisons: paired tests between systems.
        benchmarks: results on external benchmarks.
        pages: the reports.
    """

    out: Path
    runs: Mapping[str, Run] = field(default_factory=dict)
    comparisons: "Sequence[Comparison]" = ()
    benchmarks: Sequence[SystemResult] = ()
    pages: Sequence[Path] = ()

    def __repr__(self) -> str:
        lines = [repr(run) for run in self.runs.values()]
        lines += [comparison_line(record) for record in self.comparisons]
        lines += [benchmark_line(record) for record in self.benchmarks]
        return "\n".join([*lines, *map(str, self.pages)]) or f"Evaluation({str(self.out)!r}): nothing scored here"

    def _repr_html_(self) -> str:
        """The scores of each run, the paired tests, the benchmarks, and links to the pages."""
        parts = [run._repr_html_() for run in self.runs.values()]
        if self.comparisons:
            titles = metric_titles()
            cells = [comparison_cells(record) for record in self.comparisons]
            rows = [
                [f"{record['language']}, {record['split']}", f"{record['second']} against {record['first']}"]
                + [shown.get(name, "–") for name in titles]
                for record, shown in zip(self.comparisons, cells, strict=True)
            ]
            header = ["", "systems", *(title for title, _ in titles.values())]
            note = "* significant at 5% after Holm's correction"
            parts.append(html_table("Differences in points, with 95% intervals", header, rows, note))
        if self.benchmarks:
            told = [[benchmark_line(record)] for record in self.benchmarks]
            parts.append(html_table("Benchmarks", ["result"], told))
        return "".join(parts) + "".join(page_link(page) for page in self.pages)


def evaluate(
    base: str | Path,
    languages: str | Sequence[str],
    out: str | Path,
    *,
    adapter: str | Path | None = None,
    against: Paths = (),
    endpoint: str | Sequence[str] = (),
    revision: str | None = None,
    data_dir: str | Path | None = None,
    splits: str | Sequence[str] | None = None,
    batch_size: int = 16,
    max_new_tokens: Mapping[str, int] | None = None,
    device: str | None = None,
    benchmarks: Paths = (),
    check_references: bool = True,
    say: Callable[[str], None] = print,
) -> Evaluation:
    """Answer the test prompts with base and adapter, score both, test the difference, and write a report.

    Answers are kept as they come: the same call again does only what is missing, with the same result.

    Args:
        base: Hub id or folder of the base model; with `endpoint`, its name there.
        languages: codes of the languages to ask and score in, such as "ar" or "ar,th".
        out: folder of the run; of several languages each has its own in it.
        adapter: folder of the adapter or of the merged model; without one only the base is measured.
        against: other adapters, or earlier values of `out`, to test the adapter against, or files of answers that other
            programs wrote (`mella score` says which), which are tested but not drawn; NAME=FOLDER names one.
        endpoint: OpenAI-compatible servers that answer instead, ending in /v1.
        revision: branch, tag or commit of a base on the Hub.
        data_dir: dataset folder; the dataset on the Hub by default.
        splits: of know_test and ling_test; by default those that the dataset has.
        batch_size: answers computed together.
        max_new_tokens: most tokens of an answer, by source.
        device: "cuda", "cpu" and so on; the accelerator by default.
        benchmarks: external benchmarks, by name or by a YAML file that says which column is what.
        check_references: refuse references that are in another language, before anything is asked.
        say: receives a line for each result.

    Raises:
        MellaError: on an unknown language or split, a system that does not fit, a folder that is not there, or
            references in another language.
    """
    out, codes = Path(out), read_codes(languages)
    external = [found for choice in _listed(benchmarks) for found in read_benchmarks(str(choice), codes)]
    others_given = [str(other) for other in _listed(against)]
    finished = [other for other in others_given if holds_runs(named(other)[1], codes)]
    others = name_runs(finished, codes)
    files = read_answer_files([other for other in others_given if Path(named(other)[1]).is_file()])
    unfinished = [o for o in others_given if o not in finished and not Path(named(o)[1]).is_file()]
    systems = line_up(str(base), adapter, unfinished, _listed(endpoint), revision)
    check_names(systems, others)
    if data_dir is not None and not Path(data_dir).is_dir():
        raise MellaError(f"--data-dir {str(data_dir)!r} is not a folder; give the folder of a dataset.")
    folders = {code: out if len(codes) == 1 else out / code for code in codes}
    check_benchmarks(external, check_references)
    with sole_writer(out, "mella evaluate"):
        scored = evaluate_runs(
            systems,
            folders,
            data_dir=data_dir,
            splits=None if splits is None else _listed(splits),
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            device=device,
            check_references=check_references,
        )
        runs = {code: load_run(folder) for code, folder in folders.items()} if scored else {}
        comparisons, pages = _compared(runs, systems, others, files, out, say) if scored else ([], [])
        measured = []
        for record in run_benchmarks(external, systems, out=out / "benchmarks", batch_size=batch_size, device=device):
            measured.append(record)
            say(benchmark_line(record))
        if measured:  # the pages show them too
            for run in runs.values():
                write_report(run)
    return Evaluation(out, runs, comparisons, measured, pages)


def _compared(
    runs: Mapping[str, Run],
    systems: Sequence[System],
    others: Mapping[str, Mapping[str, Run]],
    files: Mapping[str, AnswerFile],
    out: Path,
    say: Callable[[str], None],
) -> "tuple[list[Comparison], list[Path]]":
    """The paired tests and the pages of the runs, with a line for each score, test and page."""
    for code, run in runs.items():
        for system in systems:
            if not system.saw(code):
                say(f"{code}: {system.name} was trained on {', '.join(system.trained_on or ())}: transfer")
        for record in run.scores:
            if record["subset"] == "all":
                say(score_line(code, record))
    comparisons = compare_runs(runs, others, files=files, out=out)
    for record in comparisons:
        say(comparison_line(record))
    pages = [write_report(run) for run in runs.values()]
    for page in pages:
        say(f"report: {page}")
    together: list[Any] = [*runs.values(), *((name, run) for name, theirs in others.items() for run in theirs.values())]
    if len(together) > 1 or any(len(run.models) > 2 for run in runs.values()):
        pages.append(write_comparison(together, out / "comparison.html"))
        say(f"comparison: {pages[-1]}")
    return comparisons, pages


def _listed(given: Any) -> list[Any]:
    """One value or several, as a list."""
    return [given] if isinstance(given, str | Path) else list(given)
