"""`mella remove`: take samples out of a dataset folder on request."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import need_file, need_folder


def remove(
    folder: Annotated[Path, typer.Argument(help="A dataset folder, as mella build writes it.")],
    ids: Annotated[
        Path | None,
        typer.Option(help="Text, CSV or JSON file with one sample id ('id') or URL of a page or image a line."),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            help="Take away all of a host and its subdomains, by the row's domain, page or image; "
            "'*.example.org' leaves example.org itself."
        ),
    ] = None,
) -> None:
    """Take samples out, rewriting only the shards that hold them, and put the request on record.

    Run `mella publish` afterwards; it sends the changed shards alone. A later build leaves those rows out.
    The exit status is 1 when no row was found.
    """
    need_folder("FOLDER", folder)
    need_file("--ids", ids)
    from mella_hf.dataset.card.card import edited_notice
    from mella_hf.dataset.removal.remove import remove_samples
    from mella_hf.dataset.removal.request_file import RequestFile, read_request_file

    wanted = read_request_file(ids) if ids is not None else RequestFile()
    if wanted.header is not None:
        say(f"{ids}: took the first line for a header: {wanted.header}")
    report = remove_samples(folder, ids=wanted.ids, urls=wanted.urls, domain=domain)
    for host, count in report.hosts.most_common():
        say(f"from {host}: {count:,}")
    for place, count in sorted(report.removed.items()):
        say(f"{place}: {count:,} removed" + (", none left" if place in report.emptied else ""))
    if report.edited_card:
        say(edited_notice(report.edited_card), err=True)
    for name in report.not_found:
        say(f"not found: {name}", err=True)
    say(f"{sum(report.removed.values()):,} rows removed, {len(report.rewritten)} shards rewritten.")
    finish(
        {
            "removed": report.removed,
            "hosts": report.hosts,
            "emptied": report.emptied,
            "not_found": report.not_found,
            "rewritten": report.rewritten,
        },
        folder,
    )
    if not report.removed:
        say(
            "Nothing matched. The request is on record in removals.jsonl, and later builds leave such rows out; "
            "delete its line there if it was a mistake.",
            err=True,
        )
        raise typer.Exit(1)
