"""Make small copies of images for pages and cards."""

import base64
import io

from mella_hf.images.opening import open_image


def thumbnail_url(data: bytes, side: int) -> str:
    """A small JPEG of an encoded image as a data URL, its longer side at most `side` px.

    Raises:
        Rejected: when the image does not open.
    """
    image = open_image(data)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
