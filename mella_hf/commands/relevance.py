"""`mella relevance`: measure how surely the texts of a dataset belong to their images."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Cluster, Workers, need_folder


def relevance(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder, as mella collect or mella build writes it.")],
    model: Annotated[
        str, typer.Option(help="A dual encoder of images and texts: google/siglip2-base-patch16-256, or another.")
    ],
    cutoff: Annotated[
        float | None,
        typer.Option(help="Take out pairs below it; 0.5 is chance. All stay by default, and it can be applied later."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs encoded together.")] = 32,
    device: Annotated[str | None, typer.Option(help="cuda, cpu, ...; a GPU by default, if there is one.")] = None,
    workers: Workers = None,
    cluster: Cluster = None,
) -> None:
    """Measure how surely each text belongs to its image, and write it into the columns relevance and relevance_model.

    Within a language, images and texts are paired anew; the relevance of a pair is the share of these that the encoder
    finds less similar. Writes relevance.html and relevance.json into the folder. If it is stopped, run
    the same command again: it continues.
    """
    need_folder("DATASET", dataset)
    from mella_hf.cluster import cluster_executor
    from mella_hf.know.relevance.published import measure_dataset
    from mella_hf.know.relevance.stages import RelevanceSettings

    settings = RelevanceSettings(model, cutoff, batch_size, device)
    with cluster_executor(cluster) as executor:
        report = measure_dataset(dataset, settings, workers=workers, executor=executor)
    for one in report.languages:
        say(one.line())
    for place, count in sorted(report.dropped.items()):
        if count:
            say(f"{place}: {count:,} pairs below {cutoff:g} taken out")
    say(f"Report: {report.page}")
    finish(
        {
            "model": report.model,
            "measured": report.measured,
            "dropped": {place: count for place, count in report.dropped.items() if count},
            "languages": [one.to_json() for one in report.languages],
            "report": report.page,
        },
        report.page,
    )
