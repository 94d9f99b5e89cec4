"""`mella report`: write the report of one run, or a page that compares several."""

import webbrowser
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
    rescore: Annotated[
        bool,
        typer.Option(
            "--rescore", help="Accept that this version scores with another signature; scores.json is written anew."
        ),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Folder for the scores in Every Eval Ever's schema and as evaluation results for the Hub."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write the report of an evaluation, or the comparison of several: one HTML page that needs nothing beside it.

    Beside the page go its numbers as JSON with a schema, and its scores as tables in Markdown and LaTeX. Runs to
    compare may be of several languages, or of one language with several adapters:

        mella report outputs/ar outputs/th --out languages.html

        mella report joint=outputs/evaluation/joint sdrrl=outputs/evaluation/sdrrl --out methods.html

    Run folders may come from another machine: every score is computed again from their answers, whose hashes are
    checked, and runs with another signature are refused.

    What people chose between answers (--human) and what mella judge found stand beside the metrics: docs/judging.md.
    """
    need_file("--human", *human or ())
    from mella_hf.api import report as write

    written = write(runs, out, human=human or (), rescore=rescore, export=export)
    for folder, note in written.notes.items():
        say(f"{folder}: {note}")
    for folder, count in written.choices.items():
        say(f"{folder}: {count:,} choices between answers about its images")
    if written.exported:
        say(f"exported: {len(written.exported)} files in {export}")
    say(f"{'report' if len(runs) == 1 else 'comparison'}: {written.page}")
    if open_page and not webbrowser.open(written.page.resolve().as_uri()):
        say("No browser was found; open the page yourself.", err=True)
    finish(
        {"page": written.page, "choices": written.choices, "notes": written.notes, "exported": written.exported},
        written.page,
    )
