"""Open the images of a shard for the captioner, and choose the prompt for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.dataset.building.candidate import read_image
from mella_hf.images.opening import Rejected, open_image
from mella_hf.ling.caption import Asking, Caption
from mella_hf.ling.described import ImageFile
from mella_hf.ling.thick.claims import PROMPT_VERSION, Claims
from mella_hf.ling.thick.names import used_names
from mella_hf.sample import sha256_hex
from mella_hf.stage import ShardOutput

if TYPE_CHECKING:
    from PIL.Image import Image

CAPTION_SIDE = 1024  # px of the longer side of the image for the captioner


@dataclass
class OpenedImages:
    """Images by id, the sha256 of their bytes.

    Attributes:
        files: where each is.
        images: (id, RGB image) as the captioner gets it.
        claims: what the page says of each; empty without `--with-context`.
    """

    files: dict[str, ImageFile] = field(default_factory=dict)
    images: "list[tuple[str, Image]]" = field(default_factory=list)
    claims: dict[str, Claims] = field(default_factory=dict)

    @property
    def askings(self) -> dict[str, Asking]:
        """What the captioner is asked about the images with claims."""
        return {
            name: Asking(*about.prompts(), version=f"context {PROMPT_VERSION}", names=tuple(about.all_names))
            for name, about in self.claims.items()
        }

    def names_in(self, name: str, caption: Caption) -> tuple[list[str], str | None]:
        """The names of the claims that a caption uses, and the first reason to drop it.

        A caption with claims that uses no name of the alt-text is not kept (`context_unused`): the picture did not
        agree, or the captioner did not listen.
        """
        if caption.problem is not None or name not in self.claims:
            return [], caption.problem
        about = self.claims[name]
        used = used_names(caption.text, about.all_names)
        return used, None if set(used) & set(about.names) else "context_unused"


def open_images(
    root: Path, files: Sequence[Mapping[str, Any]], language: str | None, output: ShardOutput
) -> OpenedImages:
    """Open the images of a shard; those that cannot be used are dropped with their reason.

    Args:
        files: fields of `ImageFile`.
        language: of the claims that are needed; None needs none.
    """
    opened = OpenedImages()
    for fields in files:
        file = ImageFile(**fields)
        about = Claims.of(file.context, language) if language is not None else None
        if language is not None and about is None:
            output.drop("no_context", where=file.path)
            continue
        if about is not None and not about.names:
            output.drop("context_without_names", where=file.path, detail=about.alt_text)
            continue
        try:
            data = read_image(str(root / file.path), [])
            image = open_image(data)
        except Rejected as rejected:
            output.drop(rejected.reason, where=file.path, detail=str(rejected))
            continue
        name = sha256_hex(data)
        if name in opened.files:
            output.drop("duplicate_bytes", where=file.path, detail=f"as {opened.files[name].path}")
            continue
        image.thumbnail((CAPTION_SIDE, CAPTION_SIDE))
        opened.files[name] = file
        opened.images.append((name, image))
        if about is not None:
            opened.claims[name] = about
    return opened
