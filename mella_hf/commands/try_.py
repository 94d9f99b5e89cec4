"""`mella try`: ask base and adapter the same questions about a photo."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Revision, need_file
from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.files import check_place

if TYPE_CHECKING:
    from mella_hf.evaluation.trying import SideBySide
    from mella_hf.languages import Language


def try_(
    adapter: Annotated[str, typer.Argument(metavar="ADAPTER", help="Folder of the adapter, or its id on the Hub.")],
    photos: Annotated[list[Path] | None, typer.Argument(metavar="[PHOTO]...", help="Images to ask about.")] = None,
    ask: Annotated[
        list[str] | None,
        typer.Option(help="A question; by default the language's test prompts. Repeatable."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Code of the language; by default the one that the adapter was trained on.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Hub id or folder of the base; by default the adapter's.")] = None,
    revision: Revision = None,
    device: Annotated[str | None, typer.Option(help="cuda, cpu, ...; the accelerator by default.")] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens of an answer; by default 64 on know, 512 on ling.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve a page to put questions in the browser.")] = False,
    host: Annotated[str, typer.Option(help="With --serve: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="With --serve: port to listen on.")] = 7861,
    space: Annotated[
        Path | None, typer.Option(help="Only write the files of a Space on the Hub that serves this page.")
    ] = None,
) -> None:
    """Ask base and adapter the same questions about a photo, and print their answers side by side.

        mella try outputs/joint/adapter photo.jpg

        mella try outputs/joint/adapter photo.jpg --ask "What is written on the sign?"

        mella try outputs/joint/adapter --serve

    The model is loaded once; with the adapter switched off it answers as the base does. The page of --serve has no
    password and listens on this machine alone.
    """
    photos = photos or []
    need_file("PHOTO", *photos)
    if space is not None:
        _space(space, adapter, language, base)
        return
    if not serve and not photos:
        raise MellaError("There is no photo to ask about; name one, or give --serve.")
    from mella_hf.evaluation.trying import SideBySide, default_questions, language_of, read_photo

    images = {path: read_photo(path.read_bytes(), str(path)) for path in photos}
    if language is not None:
        language_of(None, language)  # an unknown code is told before the model is loaded
    if serve:
        _need_server()
    pair = SideBySide(adapter, base, revision=revision, device=device)
    asked = language_of(pair.trained_on, language) if serve or not ask else None
    if serve:
        assert asked is not None
        pair.load()
        _serve(pair, asked, tokens or 512, host, port)
        return
    questions = [(question, tokens or 512) for question in ask] if ask else default_questions(asked)  # type: ignore[arg-type]
    found = []
    for path, image in images.items():
        for question, limit in questions:
            answers = pair.ask(image, question, tokens or limit)
            found.append({"photo": path, "question": question, "answers": answers})
            say(_side_by_side(f"{path}: {question}", answers))
    finish({"base": pair.base, "adapter": pair.adapter, "answers": found})


def _side_by_side(title: str, answers: Mapping[str, Mapping[str, Any]]) -> str:
    """The answers to one question in columns as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", expand=True)
    for name in answers:
        table.add_column(name, ratio=1, overflow="fold")
    table.add_row(*(Text(_shown(answer)) for answer in answers.values()))
    console = Console(highlight=False, no_color=True)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def _shown(answer: Mapping[str, Any]) -> str:
    return (answer["prediction"] or "(no answer)") + (" […]" if answer["truncated"] else "")


def _need_server() -> None:
    """Raise MissingExtraError, before a model is loaded, if no page can be served."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "review", "The page of mella try") from error


def _serve(pair: "SideBySide", language: "Language", tokens: int, host: str, port: int) -> None:
    """Answer browsers until somebody stops it."""
    from mella_hf.evaluation.trying_page import build_app
    from mella_hf.reviewing.serving import listen, serve, warning

    listening = listen(host, port)
    port = listening.getsockname()[1]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    caution = warning(host)
    if caution is not None:
        say(f"warning: {caution}", err=True)
    say(f"{address} asks base and adapter in {language.name}. Stop with Ctrl+C.")
    finish({"address": address}, address)
    hosts: Sequence[str] | None = ("localhost", "127.0.0.1", "[::1]", host) if warning(host) is None else None
    serve(build_app(pair, language, tokens, None if hosts is None else tuple(hosts)), listening)


def _space(folder: Path, adapter: str, language: str | None, base: str | None) -> None:
    from mella_hf.evaluation.space import write_space

    check_place("--space", folder, folder=True)
    for path in write_space(folder, adapter, language=language, base=base):
        say(path)
    say(f"Upload it: hf upload ORG/NAME {folder} --repo-type space")
    finish({"space": folder}, folder)
