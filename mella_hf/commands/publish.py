"""`mella publish`: upload a dataset folder to the Hub."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Cluster, CreatePr, Private, Workers, need_folder


def publish(
    folder: Annotated[Path, typer.Argument(help="A dataset folder, as mella build writes it.")],
    repo: Annotated[str, typer.Argument(help="Where it goes: ORGANISATION/NAME.")],
    remove: Annotated[
        list[str] | None,
        typer.Option(help="Language or LANGUAGE/SPLIT on the Hub that goes; FOLDER must not have it. Others stay."),
    ] = None,
    private: Private = False,
    create_pr: CreatePr = False,
    gated: Annotated[bool, typer.Option("--gated", help="Readers share their contact before they get access.")] = False,
    replace_card: Annotated[
        bool, typer.Option("--replace-card", help="Overwrite a card that was edited by hand, on the Hub or in FOLDER.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and compare, but send nothing.")] = False,
    workers: Workers = None,
    cluster: Cluster = None,
) -> None:
    """Check a dataset, write its card, and upload what the Hub does not have yet.

    Languages and splits that only the Hub has stay there, and on the card.

    Log in with `hf auth login` first, or set HF_TOKEN. Interrupted, the same command goes on where it
    stopped; run twice, it sends nothing.
    """
    need_folder("FOLDER", folder)
    from mella_hf.cluster import cluster_executor
    from mella_hf.dataset.publish import publish_dataset

    with cluster_executor(cluster) as executor:
        report = publish_dataset(
            folder,
            repo,
            remove=remove or (),
            private=private,
            create_pr=create_pr,
            gated=gated,
            replace_card=replace_card,
            dry_run=dry_run,
            workers=workers,
            executor=executor,
            say=say,
        )
    would = "would be " if dry_run else ""
    for name, size in report.add.items():
        say(f"  {size / 1e6:10,.1f} MB  {name}")
    for name in report.delete:
        say(f"     deleted     {name}")
    if report.kept:
        say(f"kept on the Hub, not in {folder}: {', '.join(report.kept)} (--remove takes them away)")
    total = sum(report.add.values()) / 1e6
    say(f"{len(report.add)} files ({total:,.1f} MB) {would}sent, {report.unchanged} unchanged on the Hub.")
    if report.url:
        say(report.url)
    names = {"url": report.url, "sent": report.add, "deleted": report.delete, "kept": report.kept}
    finish({**names, "unchanged": report.unchanged}, report.url or None)
