"""Read a `srcset` as the HTML Standard does: a small state machine, one pass over the text.

https://html.spec.whatwg.org/multipage/images.html#parsing-a-srcset-attribute
"""

import re
from typing import NamedTuple

_SEPARATORS = re.compile(r"[\t\n\f\r ,]*+")
_URL = re.compile(r"[^\t\n\f\r ]++")
# Up to the next comma that is not in parentheses; those are kept for later versions of the Standard.
_DESCRIPTORS = re.compile(r"(?:[^,(]++|\([^)]*+\)?+)*+")
_DESCRIPTOR = re.compile(r"(?:[^\t\n\f\r (]++|\([^)]*+\)?+)++")
_WHOLE = re.compile(r"\d++")
_FLOAT = re.compile(r"-?(?:\d++(?:\.\d++)?|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
_MAX_DIGITS = 9


class SrcsetCandidate(NamedTuple):
    """One image of a `srcset`: its width in px, or its density (1.0 where nothing is said)."""

    url: str
    width: int | None
    density: float | None


def parse_srcset(value: str) -> list[SrcsetCandidate]:
    """The images of a `srcset`, in order. One with a descriptor that is not valid is left out, as browsers do."""
    found = []
    at = _SEPARATORS.match(value).end()  # type: ignore[union-attr]
    while at < len(value):
        url = _URL.match(value, at)[0]  # type: ignore[index]
        at += len(url)
        descriptors: list[str] = []
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            text = _DESCRIPTORS.match(value, at)[0]  # type: ignore[index]
            at += len(text)
            descriptors = _DESCRIPTOR.findall(text)
        size = _size(descriptors)
        if size is not None and url:
            found.append(SrcsetCandidate(url, *size))
        at = _SEPARATORS.match(value, at).end()  # type: ignore[union-attr]
    return found


def _size(descriptors: list[str]) -> tuple[int | None, float | None] | None:
    """(width, density) that the descriptors of an image say; None where they are not valid."""
    width = height = density = None
    for descriptor in descriptors:
        number, unit = descriptor[:-1], descriptor[-1]
        if unit == "w" and _is_whole(number) and width is None and density is None:
            width = _whole(number)
            if not width:
                return None
        elif unit == "h" and _is_whole(number) and height is None and density is None:
            height = _whole(number)
            if not height:
                return None
        elif unit == "x" and _FLOAT.fullmatch(number) and (width, height, density) == (None, None, None):
            density = float(number)
            if density < 0:
                return None
        else:
            return None
    if height is not None and width is None:
        return None
    return width, 1.0 if width is None and density is None else density


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _is_whole(number: str) -> bool:
    return number.isascii() and _WHOLE.fullmatch(number) is not None
