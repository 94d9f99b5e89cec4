"""`mella publish`: upload a dataset folder to the Hub."""

from pathlib import Path
from typing import Annotated

import typer


def publish(
    folder: Annotated[Path, typer.Argument(help="A dataset folder, as mella build writes it.")],
    repo: Annotated[str, typer.Argument(help="Where it goes: ORGANISATION/NAME.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repo private.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")] = False,
    gated: Annotated[bool, typer.Option("--gated", help="Readers share their contact before they get access.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and compare, but send nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that check; one a core by default.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://host:8786, to check on its machines.")
    ] = None,
) -> None:
    """Check a dataset, write its card, and upload what the Hub does not have yet.

    Log in with `hf auth login` first, or set HF_TOKEN. Interrupted, the same command goes on where it
    stopped; run twice, it sends nothing.
    """
    from mella_hf.cluster import cluster_executor
    from mella_hf.dataset.publish import publish_dataset

    with cluster_executor(cluster) as executor:
        report = publish_dataset(
            folder,
            repo,
            private=private,
            create_pr=create_pr,
            gated=gated,
            dry_run=dry_run,
            workers=workers,
            executor=executor,
            say=typer.echo,
        )
    would = "would be " if dry_run else ""
    for name, size in report.add.items():
        typer.echo(f"  {size / 1e6:10,.1f} MB  {name}")
    for name in report.delete:
        typer.echo(f"     deleted     {name}")
    total = sum(report.add.values()) / 1e6
    typer.echo(f"{len(report.add)} files ({total:,.1f} MB) {would}sent, {report.unchanged} unchanged on the Hub.")
    if report.url:
        typer.echo(report.url)
