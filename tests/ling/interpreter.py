"""The stand-in for a captioner and a translator that are perfect: each picture has its own description."""

import base64
import io
import zlib
from pathlib import Path

from native_sentences import description
from PIL import Image

from mella_hf.answers.chat.messages import data_url
from mella_hf.images.opening import open_image
from mella_hf.ling.opened import CAPTION_SIDE

LANGUAGES = ("cs", "ar")


class Interpreter:
    """Knows the same description in English and in each language, by the pixels that the server is sent."""

    def __init__(self) -> None:
        self.english: dict[str, dict[str, str]] = {}

    def caption(self, image: Image.Image, prompt: str) -> str:
        number = zlib.crc32(image.tobytes()) % 729
        english = description("en", number)
        self.english[english] = {code: description(code, number) for code in LANGUAGES}
        return english

    def translate(self, text: str, target: str) -> str:
        return self.english[text][target]


def as_sent(path: Path) -> Image.Image:
    """A picture as a caption server sees it."""
    image = open_image(path.read_bytes())
    image.thumbnail((CAPTION_SIDE, CAPTION_SIDE))
    return Image.open(io.BytesIO(base64.b64decode(data_url(image).split(",", 1)[1]))).convert("RGB")


def described_pairs(pictures: Path, count: int) -> list[tuple[str, str]]:
    """(English, native) of the first pictures, language by language."""
    interpreter = Interpreter()
    texts = [interpreter.caption(as_sent(pictures / f"{n:02d}.png"), "") for n in range(count)]
    return [(text, interpreter.translate(text, code)) for code in LANGUAGES for text in texts]
