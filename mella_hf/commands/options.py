"""Command-line options that several commands share. Each command sets its own defaults.

One thing has one name in every command: --languages, --out, --workers, --cluster, --data-dir, --endpoint, --dry-run.
"""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.errors import MellaError

SEVERAL_LANGUAGES = "Language codes, such as 'ar' or 'ar,cs,th' or 'ar cs'; 'all' for every language."
_CLUSTER = "Address of a Dask scheduler, such as tcp://host:8786, to work on its machines."

Languages = Annotated[list[str], typer.Option(help=SEVERAL_LANGUAGES)]
Language = Annotated[str, typer.Option(help="Code of the language, such as 'ar'; mella languages lists them.")]
LanguageArgument = Annotated[str, typer.Argument(help="Code of the language to teach; mella languages lists them.")]
Workers = Annotated[int | None, typer.Option(min=0, help="Processes; the number of cores by default.")]
Cluster = Annotated[str | None, typer.Option(help=_CLUSTER)]
TestSize = Annotated[int, typer.Option(min=0, help="Images in each test split, at most a fifth of the rows.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Answers computed together.")]
CheckReferences = Annotated[
    bool,
    typer.Option("--check-references/--no-check-references", help="Refuse references that are in another language."),
]
DataDir = Annotated[Path | None, typer.Option(help="Dataset folder; the dataset on the Hub by default.")]
Private = Annotated[bool, typer.Option("--private", help="Make a new repo private.")]
CreatePr = Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")]
TRANSLATOR_HELP = (
    "auto (first service of the language with a key), deepl, google, microsoft, libre, chat:MODEL for a chat model "
    "behind an OpenAI-compatible server, an NLLB or MADLAD checkpoint, or a translator that an installed package "
    "registers. Keys: DEEPL_API_KEY, MICROSOFT_API_KEY, LIBRE_API_KEY, MELLA_TRANSLATOR_KEY in the environment."
)
SEVERAL_TRANSLATORS = " Repeat it for a tournament: COMET judges all translations and the best is kept."
Translator = Annotated[str, typer.Option(help=TRANSLATOR_HELP)]
TranslatorUrl = Annotated[str | None, typer.Option(help="Address of the service, as for a server of one's own.")]
Revision = Annotated[
    str | None,
    typer.Option(
        help="Branch, tag or commit of a base on the Hub; by default the one that the adapter was trained on, or main."
    ),
]

# Of every command: added by mella_hf.cli, not by the commands.
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the name of what was made, and problems.")]
Json = Annotated[bool, typer.Option("--json", help="Print only the result, as JSON; the rest goes to standard error.")]
LanguagesFrom = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of your own languages' files; may be repeated, and MELLA_LANGUAGES names more."),
]
Lid = Annotated[
    str | None,
    typer.Option(help="Language identifier: py3langid (by default), glotlid, or a fastText model's file or Hub id."),
]
LogFile = Annotated[Path | None, typer.Option(help="File to which what happens is appended, with the time.")]


def need_folder(name: str, *paths: Path | None) -> None:
    """Refuse a folder that is not there, before anything else is done. None is left out. Raises MellaError."""
    for path in paths:
        if path is not None and not path.is_dir():
            raise _refused(name, path, "folder")


def need_file(name: str, *paths: Path | None) -> None:
    """Refuse a file that is not there, before anything else is done. None is left out. Raises MellaError."""
    for path in paths:
        if path is not None and not path.is_file():
            raise _refused(name, path, "file")


def _refused(name: str, path: Path, kind: str) -> MellaError:
    if path.exists():
        return MellaError(f"{name} {str(path)!r} is not a {kind}; give the path of a {kind}.")
    return MellaError(f"{name} {str(path)!r} is not a {kind}: it does not exist. Paths begin at {str(Path.cwd())!r}.")
