"""`mella demo`: the whole way on a CPU, from pictures to a scored adapter."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish
from mella_hf.commands.options import LanguageArgument, need_folder


def demo(
    language: LanguageArgument = "ar",
    out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("outputs/demo"),
    source: Annotated[
        Path | None, typer.Option(help="Folder with the unpacked Debian packages, where they cannot be fetched.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes for building data; all cores by default.")] = None,
) -> None:
    """The whole way on a CPU: pictures to a trained, scored adapter.

    Works in every language that Unicode CLDR names pictures in. Fetches CLDR and a font with pictures (27 MB,
    once), builds the dataset in LANGUAGE, trains a miniature backbone in English and a LoRA adapter in
    LANGUAGE, evaluates both, and writes a report and an adapter folder. Killed at any point, it goes on there
    when it is run again.
    """
    need_folder("--source", source)
    from mella_hf.demo.run import run_demo
    from mella_hf.locks import sole_writer

    with sole_writer(out, "mella demo"):
        paths = run_demo(language, out, source, workers)
    report = paths.evaluation / "report.html"
    finish({"report": report, "adapter": paths.adapter, "dataset": paths.dataset}, report)
