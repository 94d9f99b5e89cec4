"""`mella evaluate`: answer the test splits, score the answers, compare the systems and write reports."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import SEVERAL_LANGUAGES, BatchSize, DataDir, Revision, need_file, need_folder
from mella_hf.languages.codes import read_codes

if TYPE_CHECKING:
    from mella_hf.answers.systems import System
    from mella_hf.evaluation.run import Run


def evaluate(
    base: Annotated[str, typer.Option(help="Hub id or folder of the base model; with --endpoint its name there.")],
    languages: Annotated[list[str], typer.Option("--languages", "--language", help=SEVERAL_LANGUAGES)],
    out: Annotated[Path, typer.Option(help="Folder of the run; of several languages, each has its own in it.")],
    adapter: Annotated[
        str | None,
        typer.Option(help="Folder of the adapter, or of the merged model; without one only the base is measured."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="What to test the adapter against: another adapter, or an earlier OUT; NAME=FOLDER gives it a name. "
            "Repeatable."
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(help="Address of an OpenAI-compatible server, ending in /v1, that serves base and adapters."),
    ] = None,
    revision: Revision = None,
    data_dir: DataDir = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Test split, know_test or ling_test; both by default. Repeatable.")
    ] = None,
    batch_size: BatchSize = 16,
    know_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer on know.")] = None,
    ling_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer on ling.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, cpu, ...; the accelerator by default.")] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            help="Also answer a benchmark: xm3600, cvqa or marvl in the languages given, marvl:sw,tr in others, or a "
            "YAML file that says which column of a dataset is what. Repeatable."
        ),
    ] = None,
    gate: Annotated[
        Path | None, typer.Option(help="YAML of limits (recipes/gate.yaml); exit status 1 when one is broken.")
    ] = None,
) -> None:
    """Answer the test prompts greedily with base and adapter, score both, test the difference, and write a report.

    Answers are kept in OUT/predictions as they come: run the same command again after an interruption
    and it does only what is missing, with the same result. Scores go to OUT/scores.json, paired tests (corrected
    for their number, Holm) to OUT/comparisons.json, the page to look at to
    OUT/report.html, one about several languages or runs to OUT/comparison.html. A config that the adapter
    was not trained on is as good as any other: that is cross-lingual transfer, and the run says so.

    On several GPUs: accelerate launch recipes/evaluate.py, with the same options. For vLLM, serve the base
    with --enable-lora --lora-modules NAME=FOLDER and give --endpoint and --adapter NAME; a key goes into the
    environment variable MELLA_CAPTIONER_KEY.
    """
    need_file("--gate", gate)
    codes = read_codes(languages)
    from mella_hf.answers.systems import line_up, named
    from mella_hf.evaluation.benchmarks.mapping import read_benchmarks
    from mella_hf.evaluation.benchmarks.run import benchmark_line, run_benchmarks
    from mella_hf.evaluation.gate import check_gate, read_gate
    from mella_hf.evaluation.paired import holds_runs, name_runs
    from mella_hf.evaluation.reports.systems import check_names
    from mella_hf.evaluation.run import TEST_SPLITS, evaluate_runs, load_run

    external = [found for choice in benchmark or [] for found in read_benchmarks(choice, codes)]
    limits = read_gate(gate) if gate else []  # a gate that cannot be read is told before the hours of answers
    finished = [other for other in against or [] if holds_runs(named(other)[1], codes)]
    others = name_runs(finished, codes)
    unfinished = [other for other in against or [] if other not in finished]
    systems = line_up(base, adapter, unfinished, endpoint or (), revision)
    check_names(systems, others)
    need_folder("--data-dir", data_dir)
    folders = {code: out if len(codes) == 1 else out / code for code in codes}
    scored = evaluate_runs(
        systems,
        folders,
        data_dir=data_dir,
        splits=split or TEST_SPLITS,
        batch_size=batch_size,
        max_new_tokens={k: v for k, v in (("know", know_tokens), ("ling", ling_tokens)) if v},
        device=device,
    )
    runs = {code: load_run(folder) for code, folder in folders.items()} if scored else {}
    comparisons = _tell(runs, systems, others, out) if scored else []  # else the launcher's first process does it
    for record in run_benchmarks(external, systems, out=out / "benchmarks", batch_size=batch_size, device=device):
        say(benchmark_line(record))
    if not scored:
        return
    broken = check_gate(limits, runs)
    scores = {code: run.scores for code, run in runs.items()}
    finish({"out": out, "scores": scores, "comparisons": comparisons, "gate": broken}, out)
    if broken:
        for line in broken:
            say(f"gate: {line}", err=True)
        raise typer.Exit(1)
    if gate:
        say(f"gate: all {len(limits)} limits of {gate} are kept")


def _tell(runs: "dict[str, Run]", systems: "list[System]", others: "dict[str, dict[str, Run]]", out: Path) -> list[Any]:
    """Print scores and paired tests, and write the reports; returns the paired tests."""
    from mella_hf.evaluation.paired import compare_runs, comparison_line
    from mella_hf.evaluation.reports.comparison import write_comparison
    from mella_hf.evaluation.reports.report import write_report

    for code, run in runs.items():
        for system in systems:
            if not system.saw(code):
                say(f"{code}: {system.name} was trained on {', '.join(system.trained_on or ())}: transfer")
        for record in run.scores:
            if record["subset"] == "all":
                say(_line(code, record))
    comparisons = list(compare_runs(runs, others, out=out))
    for record in comparisons:
        say(comparison_line(record))
    for run in runs.values():
        say(f"report: {write_report(run)}")
    together: list[Any] = [*runs.values(), *((name, run) for name, theirs in others.items() for run in theirs.values())]
    if len(together) > 1 or any(len(run.models) > 2 for run in runs.values()):
        say(f"comparison: {write_comparison(together, out / 'comparison.html')}")
    return comparisons


def _line(language: str, record: dict[str, Any]) -> str:
    """One model on one split: the scores with their 95% intervals."""
    from mella_hf.evaluation.titles import metric_titles

    scores = [
        f"{m} {record[m]:.1f} [{record[f'{m}_low']:.1f}, {record[f'{m}_high']:.1f}]"
        for m in metric_titles([record])
        if record[m] is not None
    ]
    return f"{language:4}{record['model']:8}{record['split']:10} n={record['n']}  " + "  ".join(scores)
