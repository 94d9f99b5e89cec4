"""What all pages share: template environment and filters, text markup, embedded images.

Texts come from the web and from models, so templates escape all of them.
"""

import base64
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from mella_hf.languages import Language

TEMPLATES = Path(__file__).parent / "templates"
# Published vision-language models start at 256 M parameters (SmolVLM-256M); what is this small is a stand-in.
MINIATURE_PARAMETERS = 100_000_000


@cache
def environment(*folders: Path) -> Any:
    """The templates of the pages, with the filters that they use; a page of another part has more folders of them."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, count=count)
    return environment


def text_attributes(text: str, language: Language) -> dict[str, str]:
    """HTML attributes of a text: `dir` by its first letter, and `lang` unless the direction shows another language."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    first = next((kind for kind in kinds if kind in ("L", "R", "AL")), "R" if language.rtl else "L")
    direction = "ltr" if first == "L" else "rtl"
    return {"dir": direction, "lang": language.code if (direction == "rtl") == language.rtl else ""}


def embedded_jpeg(path: Path) -> str:
    """A JPEG file as a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def number(value: float | None, digits: int = 1) -> str:
    """A score as text; a missing score is a dash, never a zero."""
    return "–" if value is None else f"{value:.{digits}f}"


def percent(rate: float | None) -> str:
    """A rate in [0, 1] as a percentage."""
    return number(None if rate is None else 100 * rate)


def count(value: int) -> str:
    """1234567 -> "1.23 M"."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return str(value)
