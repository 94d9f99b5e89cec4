"""`mella convert-internvl2`: convert an original InternVL2 checkpoint to the native format of transformers."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say

MAX_PATCHES = 6  # of the paper's runs


def convert_internvl2(
    source: Annotated[str, typer.Argument(help="Folder of the checkpoint, or its name: OpenGVLab/InternVL2-8B.")],
    out: Annotated[Path, typer.Argument(help="Folder to write, the --model_name_or_path of mella train.")],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a checkpoint on the Hub; main by default.")
    ] = None,
    max_patches: Annotated[
        int, typer.Option(min=1, help="Most tiles of an image, thumbnail not counted (the paper: 6).")
    ] = MAX_PATCHES,
) -> None:
    """Convert an InternVL2 of the original layout (remote code) to one that transformers runs natively.

    For InternVL2-2B, -8B and -26B, whose language model is InternLM2. None of the checkpoint's code runs, and only
    safetensors are read, shard by shard, so memory holds one shard. Weights, tokenizer, processor and chat template
    are written; AutoModelForImageTextToText and AutoProcessor load the folder. Interrupted, the same command goes on
    where it stopped.
    """
    from mella_hf.locks import sole_use
    from mella_hf.training.internvl2.convert import convert_internvl2

    with sole_use(
        out.absolute().with_name(f".{out.name}.lock"), out, "mella convert-internvl2"
    ):  # OUT may not be there yet
        folder = convert_internvl2(source, out, revision=revision, max_patches=max_patches, say=say)
    say(folder)
    finish({"model": folder}, folder)
