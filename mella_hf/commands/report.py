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
    from mella_hf.api import report as write

    written = write(runs, out, human=human or ())
    for folder, count in written.choices.items():
        say(f"{folder}: {count:,} choices between answers about its images")
    say(f"{'report' if len(runs) == 1 else 'comparison'}: {written.page}")
    finish({"page": written.page, "choices": written.choices}, written.page)
