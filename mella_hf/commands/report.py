"""`mella report`: a finished run in, its page out."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run_dir: Annotated[Path, typer.Argument(help="Folder that `mella evaluate` wrote.")],
    out: Annotated[Path | None, typer.Option(help="The page to write; RUN_DIR/report.html by default.")] = None,
) -> None:
    """Write the report of an evaluation: one HTML page that needs nothing beside it, and its numbers as JSON."""
    from mella_hf.evaluation.report import write_report

    typer.echo(f"report: {write_report(run_dir, out)}")
