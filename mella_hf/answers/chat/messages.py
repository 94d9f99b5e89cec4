"""Turns of a chat that carry images."""

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image


def image_message(image: "Image", text: str) -> dict[str, Any]:
    """A user turn with an image and a text."""
    parts = [{"type": "image_url", "image_url": {"url": data_url(image)}}, {"type": "text", "text": text}]
    return {"role": "user", "content": parts}


def data_url(image: "Image") -> str:
    """An image as a data URL, JPEG at quality 90."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
