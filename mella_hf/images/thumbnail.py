"""Make small copies of images for pages and cards."""

import base64
import io
from typing import TYPE_CHECKING

from mella_hf.images.opening import on_white, open_image

if TYPE_CHECKING:
    from PIL.Image import Image


def small_jpeg(image: "Image", side: int) -> bytes:
    """A small copy of the image as JPEG; its longer side has at most `side` px."""
    small = on_white(image).copy()
    small.thumbnail((side, side))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=75, optimize=True)
    return out.getvalue()


def thumbnail_url(data: bytes, side: int) -> str:
    """A small JPEG of an encoded image as a data URL, its longer side at most `side` px.

    Raises:
        Rejected: when the image does not open.
    """
    small = small_jpeg(open_image(data), side)
    return "data:image/jpeg;base64," + base64.b64encode(small).decode("ascii")
