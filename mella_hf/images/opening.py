"""The one place where encoded images are opened, checked and made RGB.

Images from outside are hostile: a 164 kB PNG can hold 13,000 x 13,000 px, a truncated file raises while it decodes.
Whatever has bytes calls `open_image`; whatever gets a decoded picture from `datasets` calls `on_white`. So building,
training, evaluation and pages see the same pixels.
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
MAX_ASPECT = 200  # longer side to shorter; Qwen2-VL's processor and its successors' refuse more
MAX_SCANS = 64  # of a JPEG, which has one to a dozen; each is as much work as decoding, in a call that nothing ends
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")  # formats that browsers show and Pillow decodes by itself
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".gif", ".avif", ".bmp")  # how their files end
_MOVING = ("PNG", "WEBP", "GIF", "AVIF")  # formats that can hold a film; a camera's JPEG holds previews (MPO)
_LAYERED = ("RGBA", "LA", "PA", "RGBa", "La")  # modes with an alpha channel


class Rejected(MellaError):
    """A row that must not enter the dataset. `reason` is short and fixed, so it can be counted."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@contextmanager
def guarded() -> Iterator[None]:
    """Turn Pillow's errors into Rejected: `image_too_large`, `image_format`, `image_broken`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():  # Pillow warns about sizes that are checked here
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
    """Decode an image fully, upright, as RGB on white. Its size is the one that readers of the dataset see.

    Args:
        side: allow decoding a JPEG at 1/2, 1/4 or 1/8 of its size, which is faster; no side becomes smaller than
            this many pixels.

    Raises:
        Rejected: with the reason `image_empty`, `image_format`, `image_too_large`, `image_aspect`,
            `image_animated`, `image_too_slow` or `image_broken`.
    """
    return on_white(open_layers(data, side=side))


def open_layers(data: bytes, *, side: int | None = None) -> "Image.Image":
    """Decode an image fully and upright, in its own mode, with its transparency. Raises as `open_image`."""
    from PIL import ImageOps

    with guarded():
        image = open_header(data)
        refuse_film(image)
        if side is not None:
            image.draft(None, (side, side))
        image.load()
        return ImageOps.exif_transpose(image)


def open_header(data: bytes, max_pixels: int = MAX_PIXELS) -> "Image.Image":
    """Open an image without decoding it, if its format and size are acceptable.

    Raises:
        Rejected: `image_empty`, `image_format`, `image_too_large`, `image_aspect`, `image_too_slow` (a JPEG of more
            than MAX_SCANS scans) or `image_broken`.
    """
    from PIL import Image

    if not data:
        raise Rejected("image_empty")
    with guarded():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    what = f"{image.width} x {image.height} px"
    if image.width * image.height > max_pixels:
        raise Rejected("image_too_large", what)
    if max(image.size) > MAX_ASPECT * min(image.size):
        raise Rejected("image_aspect", f"{what}, more than {MAX_ASPECT} to 1; no image processor takes it")
    scans = data.count(b"\xff\xda") if image.format in ("JPEG", "MPO") else 0
    if scans > MAX_SCANS:
        raise Rejected("image_too_slow", f"a JPEG with {scans} scans")
    return image


def open_if_whole(data: bytes) -> "Image.Image | None":
    """Open an image without decoding it, if header, end and checksums show that it is whole; else None: decode it.

    Damage within a JPEG or WebP of the right length does not show. Call it under `guarded`.
    """
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    if image.format == "WEBP":  # a RIFF file says its length
        return image if len(data) >= int.from_bytes(data[4:8], "little") + 8 else None
    if image.format not in _ENDS or not data.endswith(_ENDS[image.format]):
        return None
    if image.format == "PNG":
        image.verify()  # the checksums of its chunks
    return image


_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


def refuse_film(image: "Image.Image") -> None:
    """Raise Rejected (`image_animated`) on a picture that moves. Call it within `guarded`."""
    if image.format in _MOVING and getattr(image, "is_animated", False):
        raise Rejected("image_animated", str(image.format))


def plain_format(image: "Image.Image") -> str:
    """The name of an opened image's format, one of FORMATS: what Pillow calls MPO is a JPEG with further frames."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def on_white(image: "Image.Image") -> "Image.Image":
    """A decoded image as RGB: what is transparent becomes white, as on a page; 16 bits of grey become 8."""
    from PIL import Image

    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        image = _to_8_bits(image)
    if image.mode in _LAYERED or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(image: "Image.Image") -> "Image.Image":
    """16-bit grey as L, or LA when one grey is transparent. Pillow's own conversion clips, which leaves white paper."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is not None:
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey
