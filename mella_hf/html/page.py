"""What all pages share: template environment and filters, text markup, embedded images.

Texts come from the web and from models, so templates escape all of them.
"""

import base64
import re
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
    environment.filters.update(number=number, percent=percent, count=count, signed=signed)
    return environment


def text_attributes(text: str, language: Language) -> dict[str, str]:
    """HTML attributes of a text that should be in a language: `dir`, and `lang` unless it is in other letters only.

    A text with a letter of the language's direction has that direction, whatever its first letter is: Arabic captions
    begin with Latin names. Digits and signs have no direction.
    """
    kinds = {unicodedata.bidirectional(character) for character in text}
    own, other = (_RIGHT, _LEFT) if language.rtl else (_LEFT, _RIGHT)
    is_own = bool(kinds & own) or not kinds & other
    return {"dir": "rtl" if is_own == language.rtl else "ltr", "lang": language.code if is_own else ""}


_LEFT, _RIGHT = frozenset({"L"}), frozenset({"R", "AL"})  # letters by direction, as Unicode names them


def with_contents(page: str) -> str:
    """Fill a page's list of contents with its sections, which have an id each. Texts on it are escaped already."""
    sections = re.findall(r'<h2 id="([^"<>]+)"[^<>]*>([^<>]+)', page)
    links = " ".join(f'<a href="#{anchor}">{title.strip()}</a>' for anchor, title in sections)
    return page.replace(_CONTENTS + "</nav>", f"{_CONTENTS}{links}</nav>", 1)


_CONTENTS = '<nav class="contents" aria-label="Contents">'


def embedded_jpeg(path: Path) -> str:
    """A JPEG file as a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def number(value: float | None, digits: int = 1) -> str:
    """A score as text; a missing score is a dash, never a zero, and no zero has a sign."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def signed(value: float | None, minus: str = "-") -> str:
    """A difference as text, with its sign. One that would round to zero has more digits; zero has no sign.

    Args:
        minus: the sign; pages use the typographic one.
    """
    if value is None:
        return "–"
    shown = (f"{value:+.{digits}f}" for digits in (1, 2, 3))
    text = next((text for text in shown if float(text) != 0), "0.0")
    return text.replace("-", minus)


def percent(rate: float | None) -> str:
    """A rate in [0, 1] as a percentage."""
    return number(None if rate is None else 100 * rate)


def count(value: int) -> str:
    """1234567 -> "1.23 M"."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return str(value)
