"""`mella remove`: remove samples from a dataset folder after a takedown request."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import need_file, need_folder


def remove(
    folder: Annotated[Path, typer.Argument(help="A dataset folder, as mella build writes it.")],
    ids: Annotated[Path | None, typer.Option(help="File with one sample id a line (the column 'id').")] = None,
    domain: Annotated[str | None, typer.Option(help="Take away all of a domain and its subdomains.")] = None,
) -> None:
    """Take samples out, rewriting only the shards that hold them, and put the request on record.

    Run `mella publish` afterwards; it sends the changed shards alone. A later build leaves those rows out.
    """
    need_folder("FOLDER", folder)
    need_file("--ids", ids)
    from mella_hf.dataset.remove import remove_samples

    wanted = ids.read_text("utf-8").splitlines() if ids else []
    report = remove_samples(folder, ids=wanted, domain=domain)
    for place, count in sorted(report.removed.items()):
        say(f"{place}: {count:,} removed")
    for name in report.not_found:
        say(f"not found: {name}")
    say(f"{sum(report.removed.values()):,} rows removed, {len(report.rewritten)} shards rewritten.")
    finish({"removed": report.removed, "not_found": report.not_found, "rewritten": report.rewritten}, folder)
