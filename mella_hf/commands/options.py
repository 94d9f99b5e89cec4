"""Command-line options that several commands share. Each command sets its own defaults."""

from pathlib import Path
from typing import Annotated

import typer

BatchSize = Annotated[int, typer.Option(min=1, help="Answers computed together.")]
DataDir = Annotated[Path | None, typer.Option(help="Dataset folder; the dataset on the Hub by default.")]
Translator = Annotated[
    str,
    typer.Option(
        help="auto (first service of the language with a key), deepl, google, microsoft, libre, or an NLLB or "
        "MADLAD checkpoint. Keys: DEEPL_API_KEY, MICROSOFT_API_KEY, LIBRE_API_KEY in the environment."
    ),
]
TranslatorUrl = Annotated[str | None, typer.Option(help="Address of the service, as for a server of one's own.")]
Revision = Annotated[
    str | None,
    typer.Option(
        help="Branch, tag or commit of a base on the Hub; by default the one that the adapter was trained on, or main."
    ),
]
