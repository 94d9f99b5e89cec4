"""Small records with pictures made in memory by Pillow."""

import io
import random
from typing import Any

from PIL import Image, ImageDraw

from mella_hf.sample import make_sample

TEXTS = {"ar": "كنافة نابلسية على طبق", "th": "ต้มยำกุ้งในชามสีขาว"}


def picture(seed: int, format: str = "JPEG", size: tuple[int, int] = (96, 64), **options: Any) -> bytes:
    """An encoded picture that no other seed resembles: coarse random blocks."""
    rng = random.Random(seed)
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    step = 8
    for x in range(0, size[0], step):
        for y in range(0, size[1], step):
            draw.rectangle([x, y, x + step, y + step], fill=tuple(rng.randrange(256) for _ in range(3)))
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def record(seed: int, language: str = "ar", source: str = "know", **columns: Any) -> dict[str, Any]:
    """A record of its own picture."""
    columns.setdefault("license", "CC-BY-4.0")
    columns.setdefault("text", f"{TEXTS.get(language, language)} {seed}")
    columns.setdefault("image", picture(seed))
    return make_sample(language=language, source=source, width=96, height=64, **columns)
