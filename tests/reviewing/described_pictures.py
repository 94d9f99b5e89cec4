"""Described pictures in Arabic and Thai; the texts are written for the tests, not translated."""

import io
from typing import Any

from PIL import Image, ImageDraw

from mella_hf.sample import make_sample

COLOURS = {
    "red": ("حمراء", "แดง", (200, 40, 40)), "green": ("خضراء", "เขียว", (40, 150, 70)),
    "blue": ("زرقاء", "น้ำเงิน", (40, 80, 200)), "black": ("سوداء", "ดำ", (20, 20, 20)),
    "white": ("بيضاء", "ขาว", (250, 250, 250)), "yellow": ("صفراء", "เหลือง", (240, 210, 40)),
}  # fmt: skip


def described(language: str) -> list[dict[str, Any]]:
    """Six samples: a disc of some colour, its English caption and its description; scores rise with the place."""
    rows = []
    for place, (english, (arabic, thai, rgb)) in enumerate(COLOURS.items()):
        image = Image.new("RGB", (360, 270), (225, 222, 214))
        ImageDraw.Draw(image).ellipse((90, 45, 270, 225), fill=rgb)
        ImageDraw.Draw(image).text((5, 5), language)
        out = io.BytesIO()
        image.save(out, "PNG")
        text = f"في وسط الصورة دائرة {arabic} كبيرة." if language == "ar" else f"กลางภาพมีวงกลมสี{thai}ขนาดใหญ่"
        row = make_sample(
            image=out.getvalue(), text=text, language=language, source="ling", width=360, height=270, license="CC0-1.0",
            caption_en=f"A large {english} disc is in the middle of the image.", qe_score=0.75 + 0.02 * place,
            captioner="written-by-hand", translator="written-by-hand", qe_model="written-by-hand",
        )  # fmt: skip
        rows.append(row)
    return rows
