"""Small pictures, made on the spot."""

import io


def png(index: int, width: int = 128, height: int = 96) -> bytes:
    """A small image whose pixels depend on `index`."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), ((37 * index) % 256, (91 * index) % 256, 200))
    ImageDraw.Draw(image).ellipse((5 + index % 40, 10, 60 + index % 40, 80), fill=(240, (53 * index) % 256, 30))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
