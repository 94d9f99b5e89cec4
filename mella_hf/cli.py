"""The `mella` command line."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from mella_hf.errors import MellaError, MissingExtraError

app = typer.Typer(
    name="mella",
    help="Image-text data, training and evaluation for vision-language models in low-resource languages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    language: Annotated[
        str, typer.Argument(help="Code of the language to teach: ar, cs, hu, ko, ru, sr, th or vi.")
    ] = "ar",
    out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("outputs/demo"),
    source: Annotated[
        Path | None, typer.Option(help="Unpacked stamps folder, where the Debian package cannot be fetched.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes for building data; all cores by default.")] = None,
) -> None:
    """The whole way on a CPU: real images to a trained, scored adapter, in about fifteen minutes.

    Fetches the Tux Paint stamps (161 MB, once), builds the dataset in eight languages, trains a miniature
    backbone in English and a LoRA adapter in LANGUAGE, evaluates both, and writes a report and an adapter
    folder. Killed at any point, it goes on there when it is run again.
    """
    from mella_hf.demo.run import run_demo

    run_demo(language, out, source, workers)


# Each command lives in a module of its own, mella_hf.commands.<name>, as a function of that name.
for _name in (
    "build",
    "collect",
    "describe",
    "evaluate",
    "report",
    "judge",
    "score",
    "publish",
    "verify",
    "remove",
    "convert_internvl2",
    "push",
    "ablation",
    "distill",
    "review",
):
    app.command(name=_name.replace("_", "-"))(getattr(import_module(f"mella_hf.commands.{_name}"), _name))


def main() -> None:
    """Entry point: an error that users can mend is one line, without a traceback."""
    try:
        app()
    except (MellaError, MissingExtraError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
