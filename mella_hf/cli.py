"""The command `mella`: every stage of the project under one name.

Each command is a function in a module of its own, `mella_hf.commands.<name>`. The module is imported when the command
is run or asked for its help, so that `mella --help` and the completion of the shell are quick.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from itertools import zip_longest
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mella_hf.commands.options import Json, LanguagesFrom, Lid, LogFile, Quiet
from mella_hf.errors import MellaError, MissingExtraError, missing_extra
from mella_hf.faults import fault_line

# Section of `mella --help` -> command -> what it does, in at most 58 characters.
COMMANDS = {
    "Make a dataset": {
        "collect": "Images and their native alt-texts from web pages",
        "describe": "Native descriptions of images: caption, translate, judge",
        "review": "A page on which native speakers judge translations",
        "build": "Make a dataset of a release, image folders or another one",
        "relevance": "Measure whether texts belong to their images",
    },
    "Know a language": {
        "languages": "List the languages, show one, or draft a new one",
    },
    "Share a dataset": {
        "verify": "Check rows, images, numbers, and splits for leaks",
        "publish": "Upload a dataset to the Hub",
        "remove": "Take samples out and put the request on record",
    },
    "Train a model": {
        "train": "Train an adapter by a recipe, such as joint",
        "distill": "Build the transfer set of SDRRL, the paper's baseline",
        "convert-internvl2": "Convert an original InternVL2 checkpoint",
    },
    "Evaluate and share a model": {
        "try": "Ask base and adapter about a photo, side by side",
        "evaluate": "Answer, score, compare and report on the test splits",
        "report": "The page of a run, or of several runs compared",
        "judge": "Let a served vision-language model judge answers",
        "score": "Score the answers in a file",
        "push": "Upload an adapter, or the merged model, with its card",
    },
    "Look and try": {
        "info": "What a dataset, an adapter or a run is, at a glance",
        "demo": "The whole way on a CPU, in any of over 100 languages",
        "ablation": "The paper's comparison in miniature",
    },
}
_FREE = ("train",)  # commands that hand flags that they do not know to another parser
_HELP = {"help_option_names": ["-h", "--help"]}


class MellaCommand(TyperCommand):
    """A command with the options that all have: --quiet, --json, --log-file, --languages-from and --lid."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.params += _common_options()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; `--languages ar cs` is the same as `--languages ar,cs`."""
        know_folders(args)
        several = any(param.name == "languages" for param in self.params)
        return super().parse_args(ctx, repeat_languages(args) if several else args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, its lines and its result where the options say."""
        from mella_hf.commands.console import session

        ctx.params.pop("languages_from")  # parse_args has seen to it
        lid = ctx.params.pop("lid")
        if lid is not None:
            from mella_hf.text.identifiers import use_identifier

            use_identifier(lid)
        given = {name: ctx.params.pop(name) for name in ("quiet", "as_json", "log_file")}
        with session(**given):
            return super().invoke(ctx)


class LazyCommand(TyperCommand):
    """A command whose module is imported only when it is needed."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself, which then runs, completes or prints its help."""
        return load_command(str(self.name)).make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """All commands by their names, before any of their modules is imported."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        for commands in COMMANDS.values():
            for name, line in commands.items():
                self.add_command(LazyCommand(name, help=line, rich_markup_mode=None))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, section by section."""
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:17}", line) for name, line in commands.items()])


def load_command(name: str) -> Any:
    """Import a command's module and make the command that `mella NAME` runs."""
    word = name.replace("-", "_") + "_" * iskeyword(name)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    free = {"ignore_unknown_options": True} if name in _FREE else {}
    single.command(name, cls=MellaCommand, context_settings=_HELP | free)(
        getattr(import_module(f"mella_hf.commands.{word}"), word)
    )
    return typer.main.get_command(single)


def know_folders(args: Sequence[str]) -> None:
    """Know the languages of the folders after --languages-from, before any code is read."""
    for word, after in zip_longest(args, args[1:], fillvalue=""):
        option, _, value = word.partition("=")
        folder = value or after
        if option == "--languages-from" and folder:
            from mella_hf.languages import add_folder

            add_folder(Path(folder))


def repeat_languages(args: Sequence[str]) -> list[str]:
    """Repeat --languages before each code that follows it, since an option takes one value."""
    from mella_hf.languages import all_codes

    known = {*all_codes(), "all"}
    joined: list[str] = []
    for i, word in enumerate(args):
        follows = joined[-2:-1] == ["--languages"] and i > 1 and args[i - 1] != "--languages"
        if follows and set(word.replace(",", " ").split()) <= known:
            joined.append("--languages")
        joined.append(word)
    return joined


def _common_options() -> list[Any]:
    def common(
        quiet: Quiet = False,
        as_json: Json = False,
        log_file: LogFile = None,
        languages_from: LanguagesFrom = None,
        lid: Lid = None,
    ) -> None:
        """Take what every command takes."""

    only = typer.Typer(add_completion=False)
    only.command()(common)
    return typer.main.get_command(only).params


def _version(wanted: bool) -> None:
    if wanted:
        from mella_hf.version import __version__

        typer.echo(f"mella_hf {__version__}")
        raise typer.Exit


# Plain help and errors: rich takes a tenth of a second to import, and its boxes break paths in two.
app = typer.Typer(
    name="mella", cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)


@app.callback(context_settings=_HELP)
def mella(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Image-text data, training and evaluation for vision-language models in low-resource languages."""


SPINS = "4000"  # turns of a waiting thread before it sleeps; libgomp's own are 300,000


def share_cores() -> None:
    """Limit how long torch's threads spin while they wait for each other. Call it before torch is imported.

    By default they spin for long, and so keep a core busy that another thread needs: beside another busy process, the
    demo's base took eight to ten times as long. Threads that do not spin at all take twice as long on a machine where
    nothing else runs. `benchmarks/neighbour.py` measures both.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def prepare_streams() -> None:
    """Let a command write to its standard streams whatever they are.

    Each that was closed, as by `2>&-`, becomes the null device: libraries write their progress without asking whether
    there is a stream, and a file that a command opens would get the stream's number. Characters that a terminal's
    encoding lacks are written as their codes; --json is UTF-8 everywhere.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # takes the lowest number that is free: the stream's
            os.set_inheritable(stream.fileno(), True)  # workers have it too
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def stay_offline() -> None:
    """Let HF_DATASETS_OFFLINE keep a command from every request, also one about a model. Before imports of the Hub."""
    if os.environ.get("HF_DATASETS_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main(args: Sequence[str] | None = None) -> None:
    """Run a command; an error that users can mend is one line, without a traceback.

    Args:
        args: the command and its arguments; those of the process by default.
    """
    share_cores()
    stay_offline()
    prepare_streams()
    try:
        app(args=args, prog_name="mella")
    except (MellaError, MissingExtraError) as error:
        sys.exit(f"error: {error}")
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        sys.exit(f"error: {missing}")
    except Exception as error:  # what the machine refuses comes from any library
        line = fault_line(error)
        if line is None:
            raise
        sys.exit(f"error: {line}")


if __name__ == "__main__":
    main()
