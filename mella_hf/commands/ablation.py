"""`mella ablation`: compare every training variant of the paper in miniature, on one page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import LanguageArgument, need_folder


def ablation(
    language: LanguageArgument = "ar",
    out: Annotated[Path, typer.Option(help="Folder of the demo; its data and base are used.")] = Path("outputs/demo"),
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each way of training.")] = 3,
    source: Annotated[
        Path | None, typer.Option(help="Folder with the unpacked Debian packages, where they cannot be fetched.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at a time; all cores by default.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A way of training, such as joint; all by default. Repeatable.")
    ] = None,
) -> None:
    """The paper's comparison in miniature: know only, ling only, joint, two stages, replay, EWC and SDRRL.

    Makes the demo's data and base where they are not there, trains every way of training with every seed,
    answers the test splits and writes OUT/LANGUAGE/ablation/ablation.html, with the numbers in ablation.json
    beside it. Killed at any point, it goes on there when it is run again.
    """
    need_folder("--source", source)
    from mella_hf.demo.ablation import VARIANTS, run_ablation
    from mella_hf.locks import sole_writer

    with sole_writer(out, "mella ablation"):
        page = run_ablation(
            language, out, seeds=range(seeds), source=source, workers=workers, variants=only or tuple(VARIANTS)
        )
    say(f"report: {page}")
    finish(json.loads(page.with_suffix(".json").read_text("utf-8")), page)
