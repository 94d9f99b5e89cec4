"""`mella report`: write the report of one run, or a page that compares several."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import need_file


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Folders that `mella evaluate` wrote; NAME=RUN gives the run's adapter a name."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The page to write; by default RUN/report.html, or comparison.html for several runs."),
    ] = None,
    human: Annotated[
        list[Path] | None,
        typer.Option(
            help="Blind choices between answers: a .sqlite of mella review --answers, or its export. Kept in each run "
            "whose images they are on. Repeatable."
        ),
    ] = None,
) -> None:
    """Write the report of an evaluation, or the comparison of several: one HTML page that needs nothing beside it.

    Beside the page go its numbers as JSON with a schema, and its scores as tables in Markdown and LaTeX. Runs to
    compare may be of several languages, or of one language with several adapters:

        mella report outputs/ar outputs/th --out languages.html

        mella report joint=outputs/joint sdrrl=outputs/sdrrl --out methods.html

    What people chose between answers (--human) and what mella judge found stand beside the metrics: docs/judging.md.
    """
    need_file("--human", *human or ())
    from mella_hf.answers.systems import named
    from mella_hf.evaluation.judging.human import keep_choices, read_choices
    from mella_hf.evaluation.reports.comparison import write_comparison
    from mella_hf.evaluation.reports.report import write_report
    from mella_hf.evaluation.run import load_run

    decisions = [decision for path in human or () for decision in read_choices(path)]
    kept = {folder: keep_choices(load_run(folder), decisions) for _, folder in map(named, runs) if decisions}
    for folder, count in kept.items():
        say(f"{folder}: {count:,} choices between answers about its images")

    if len(runs) == 1:
        page = write_report(runs[0], out)
        say(f"report: {page}")
    else:
        page = write_comparison([named(run) for run in runs], out or Path("comparison.html"))
        say(f"comparison: {page}")
    finish({"page": page, "choices": kept}, page)
