"""`mella verify`: check a dataset folder or a Hub repository; the exit status is 1 if it has problems."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Workers
from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from mella_hf.know.fetching.settings import FetchSettings


def verify(
    dataset: Annotated[str, typer.Argument(help="A dataset folder, or ORGANISATION/NAME on the Hub.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag, commit or refs/pr/N of a repo.")] = None,
    opt_outs: Annotated[
        bool,
        typer.Option(
            "--opt-outs",
            help="Also ask the sites of the images and pages for their rules again; needs --contact. What has been "
            "withdrawn since is written to --withdrawn.",
        ),
    ] = False,
    contact: Annotated[
        str | None, typer.Option(help="Your e-mail address or URL, for the user agent of these requests.")
    ] = None,
    withdrawn: Annotated[
        Path, typer.Option(help="File for the withdrawn samples, as mella remove --ids reads it.")
    ] = Path("withdrawn.csv"),
    ignore_opt_outs: Annotated[
        str, typer.Option(help="Names of opt-outs that withdraw nothing, such as 'tdm'; docs/opt_outs.md lists them.")
    ] = "",
    allow_private: Annotated[
        list[str] | None,
        typer.Option(help="Host or network that may be private, such as files.lan; may be repeated."),
    ] = None,
    workers: Workers = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, such as tcp://host:8786, to work on its machines; for a repo, "
            "they share the folder that MELLA_CACHE names, and read with logins of their own."
        ),
    ] = None,
) -> None:
    """Check every row, every image, the card's numbers, and that training and test share no image.

    With --opt-outs, also what the sites say today. The exit status is 1 for problems and for withdrawn samples.
    """
    if opt_outs and contact is None:
        raise MellaError("--opt-outs asks sites for their rules; give --contact, an e-mail address or URL of yours.")
    settings = _settings(str(contact), ignore_opt_outs, allow_private or []) if opt_outs else None
    from mella_hf.cluster import cluster_executor
    from mella_hf.dataset.verify import verify_dataset

    with cluster_executor(cluster) as executor:
        report = verify_dataset(dataset, revision=revision, workers=workers, executor=executor)
    for language, splits in report.rows.items():
        say(f"{language}: " + ", ".join(f"{split} {count:,}" for split, count in splits.items()))
    for problem in report.problems:
        say(f"PROBLEM {problem}", err=True)
    result: dict[str, Any] = {"rows": report.rows, "problems": report.problems}
    if settings is not None:
        result |= _ask_again(dataset, revision, settings, withdrawn)
    finish(result)
    if report.problems or result.get("withdrawn"):
        raise typer.Exit(1)
    say("Sound.")


def _settings(contact: str, ignored: str, private: list[str]) -> "FetchSettings":
    """How to ask the sites. Raises MellaError."""
    from mella_hf.know.fetching.settings import FetchSettings
    from mella_hf.know.optouts import named_opt_outs

    return FetchSettings(contact, ignored_opt_outs=named_opt_outs(ignored), allow_private=tuple(private))


def _ask_again(dataset: str, revision: str | None, settings: "FetchSettings", path: Path) -> dict[str, Any]:
    """Ask the sites again, say what has changed, and write the list of what is withdrawn."""
    from mella_hf.know.withdrawn import ask_again

    found = ask_again(dataset, settings, revision=revision)
    say(f"asked for the rules of {found.asked:,} samples; {found.without_address:,} have no address")
    for reason, count in found.unknown.most_common():
        say(f"unknown: {count:,} samples, whose site's rules could not be read ({reason})", err=True)
    for reason, count in found.reasons.most_common():
        say(f"WITHDRAWN {count:,} samples: {reason}", err=True)
    if found.rows:
        found.write(path)
        say(f"Take them out with: mella remove {dataset} --ids {path}", err=True)
    return {"withdrawn": found.reasons, "unknown": found.unknown, "list": path if found.rows else None}
