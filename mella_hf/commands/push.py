"""`mella push`: upload an adapter or a merged model to the Hub."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import CreatePr, Private, Revision, need_folder
from mella_hf.errors import MellaError


def push(
    adapter: Annotated[Path, typer.Argument(help="An adapter's folder: as training wrote it, or prepared already.")],
    repo: Annotated[str, typer.Argument(help="Where it goes: ORGANISATION/NAME.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="The adapter's evaluation, for the scores on the card; not if prepared.")
    ] = None,
    private: Private = False,
    create_pr: CreatePr = False,
    merge: Annotated[bool, typer.Option("--merge", help="Push base and adapter as one model.")] = False,
    base: Annotated[str | None, typer.Option(help="Where the base is, to merge one that is not on the Hub.")] = None,
    base_id: Annotated[
        str | None, typer.Option(help="The base's name on the Hub, if it was read from a folder.")
    ] = None,
    revision: Revision = None,
    dataset_id: Annotated[str | None, typer.Option(help="The dataset's name on the Hub, if it was a folder.")] = None,
    license: Annotated[str | None, typer.Option(help="The Hub's identifier of the weights' licence.")] = None,
    card: Annotated[
        Literal["keep", "new"] | None,
        typer.Option(help="What to do with a README.md edited here or on the Hub: keep it, or write it anew."),
    ] = None,
) -> None:
    """Upload an adapter, or with --merge the whole model, with its processor and a card that says what it is.

    The card states base, data and licences, recipe, scores with intervals and failure rates, limits, and code that
    runs. A card that you edited is not overwritten without --card new. Log in with `hf auth login` first, or set
    HF_TOKEN. Interrupted, the same command goes on where it stopped.
    """
    need_folder("ADAPTER", adapter)
    need_folder("--evaluation", evaluation)
    from mella_hf.answers.identity import PROVENANCE
    from mella_hf.hub.push import prepare_adapter, push_adapter, require_pushable
    from mella_hf.locks import sole_use

    adapter = adapter.absolute() if adapter.name in ("", "..") else adapter
    is_prepared = (adapter / PROVENANCE).is_file()
    if is_prepared and (base_id or revision or dataset_id or license or evaluation):
        raise MellaError(
            f"{str(adapter)!r} is prepared, and its {PROVENANCE} says base, dataset, licence and scores; leave those "
            "options out, or push the folder that training wrote."
        )
    if not is_prepared and evaluation is None:
        raise MellaError(
            f"{str(adapter)!r} has no scores yet: evaluate it with `mella evaluate --adapter {adapter}`, and name "
            "the evaluation's folder with --evaluation."
        )
    folder = adapter if is_prepared else adapter.with_name(f"{adapter.name}-hub")
    with sole_use(folder.with_name(f".{folder.name}.lock"), folder, "mella push"):
        require_pushable(repo)
        if not is_prepared:
            prepare_adapter(
                adapter,
                folder,
                run=str(evaluation),
                repo_id=repo,
                base_id=base_id,
                base_revision=revision,
                dataset_id=dataset_id,
                license=license,
                edited=card,
            )
        if merge:
            from mella_hf.hub.merging import merge_adapter

            folder = merge_adapter(folder, folder.with_name(f"{folder.name}-merged"), base=base, edited=card)
        url = push_adapter(folder, repo, private=private, create_pr=create_pr, edited=card, say=say)
    say(url)
    finish({"url": url, "folder": folder}, url)
