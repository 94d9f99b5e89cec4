"""Decode an image, or say why it is rejected.

Images from outside are hostile: a 164 kB PNG can hold 13,000 x 13,000 px, and a truncated file raises in the middle of
an iteration. All code that decodes images goes through `open_image`.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000  # 8,000 x 8,000: 256 MB decoded; no photograph of a web page needs more
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")  # what browsers show and Pillow decodes without other programs


class Rejected(MellaError):
    """A row that must not enter the dataset. `reason` is short and fixed, fit for counting."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@contextmanager
def guarded() -> Iterator[None]:
    """Turn what Pillow raises on hostile images into Rejected: `image_too_large`, `image_format`, `image_broken`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():  # Pillow warns of sizes that are checked here
            warnings.simplefilter("ignore")
            yield
    except Image.DecompressionBombError as error:
        raise Rejected("image_too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise Rejected("image_format", f"not one of {', '.join(FORMATS)}") from error
    except Rejected:
        raise
    # Pillow's decoders raise any of these on damaged files.
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error, ZeroDivisionError) as error:
        raise Rejected("image_broken", str(error)) from error


def open_image(data: bytes, *, side: int | None = None) -> "Image.Image":
    """Decode an image fully, upright, as RGB on white. Its size is what readers of the dataset see.

    Args:
        side: allow a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size, its sides no smaller than this
            many pixels; a fraction of the work.

    Raises:
        Rejected: with the reason `image_empty`, `image_format`, `image_too_large`,
            `image_animated` or `image_broken`.
    """
    from PIL import Image, ImageOps

    if not data:
        raise Rejected("image_empty")
    with guarded():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Rejected("image_too_large", f"{image.width} x {image.height} px")
        if getattr(image, "n_frames", 1) > 1:
            raise Rejected("image_animated", f"{image.format}")
        if side is not None:
            image.draft(None, (side, side))
        image.load()
        return on_white(ImageOps.exif_transpose(image))


def on_white(image: "Image.Image") -> "Image.Image":
    """An image as RGB; what is transparent becomes white, as on a page."""
    from PIL import Image

    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
