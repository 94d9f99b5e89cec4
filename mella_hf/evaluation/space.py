"""Write the files of a Space: the page of `mella try --serve` on the Hub's machines."""

import json
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.evaluation.trying import language_of
from mella_hf.files import write_atomic
from mella_hf.version import __version__

PORT = 7860  # where Spaces expect a page
README = """---
title: {title}
emoji: 🖼️
colorFrom: green
colorTo: gray
sdk: docker
app_port: {port}
models: {models}
---

Put questions about an image to a vision-language model and to its adapter for {language}, side by side.
Served by `mella try`. A base of more than two billion parameters needs a GPU: choose the hardware in the settings.
"""
DOCKERFILE = """FROM python:3.11-slim
RUN useradd --create-home --uid 1000 user
USER user
WORKDIR /home/user
ENV PATH=/home/user/.local/bin:$PATH HF_HOME=/home/user/cache
RUN pip install --user --no-cache-dir 'mella_hf[review]=={version}'
CMD {command}
"""


def write_space(folder: Path | str, adapter: str, *, language: str | None, base: str | None = None) -> list[Path]:
    """Write README.md and Dockerfile of a Space that serves an adapter on the Hub.

    Args:
        adapter: its id on the Hub, such as "org/mella-ar".
        language: code of the language to ask in.
        base: the base, where the adapter does not name it.

    Returns:
        The two files.

    Raises:
        MellaError: if the adapter is not an id on the Hub, or the language is unknown or missing.
    """
    if len(adapter.split("/")) != 2 or Path(adapter).is_dir() or not all(adapter.split("/")):
        raise MellaError(f"A Space cannot read the folder {adapter!r}; push it and give its id, ORG/NAME.")
    if language is None:
        raise MellaError("--space needs --language, such as --language ar.")
    spoken = language_of(None, language)
    words = ["mella", "try", adapter, "--serve", "--host", "0.0.0.0", "--port", str(PORT), "--language", spoken.code]
    words += ["--base", base] if base else []
    models = json.dumps([adapter, *([base] if base else [])])
    title = json.dumps(f"{adapter.split('/')[1]}: base and adapter", ensure_ascii=False)
    folder = Path(folder)
    texts = {
        "README.md": README.format(title=title, port=PORT, models=models, language=spoken.name),
        "Dockerfile": DOCKERFILE.format(version=__version__, command=json.dumps(words)),
    }
    for name, text in texts.items():
        write_atomic(folder / name, text)
    return [folder / name for name in texts]
