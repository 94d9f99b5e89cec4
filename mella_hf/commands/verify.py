"""`mella verify`: check a dataset folder or a Hub repository; the exit status is 1 if it has problems."""

from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Workers


def verify(
    dataset: Annotated[str, typer.Argument(help="A dataset folder, or ORGANISATION/NAME on the Hub.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag, commit or refs/pr/N of a repo.")] = None,
    workers: Workers = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, such as tcp://host:8786, to work on its machines; for a repo, "
            "they share the folder that MELLA_CACHE names, and read with logins of their own."
        ),
    ] = None,
) -> None:
    """Check every row, every image, the card's numbers, and that training and test share no image."""
    from mella_hf.cluster import cluster_executor
    from mella_hf.dataset.verify import verify_dataset

    with cluster_executor(cluster) as executor:
        report = verify_dataset(dataset, revision=revision, workers=workers, executor=executor)
    for language, splits in report.rows.items():
        say(f"{language}: " + ", ".join(f"{split} {count:,}" for split, count in splits.items()))
    for problem in report.problems:
        say(f"PROBLEM {problem}", err=True)
    finish({"rows": report.rows, "problems": report.problems})
    if report.problems:
        raise typer.Exit(1)
    say("Sound.")
