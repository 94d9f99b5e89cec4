"""Find the address and size of the real image from an `<img>` and its `<source>` elements.

It chooses what a browser would show: lazy-loading attributes before placeholders, the best of `srcset`.
"""

import re
from collections.abc import Mapping
from functools import cached_property

from mella_hf.know.pages.srcset import parse_srcset

Attributes = Mapping[str, str | None]

# Where pages keep the real image while `src` holds a placeholder: the attributes of OBELICS (Laurençon et al. 2023,
# appendix A.1.2) and of the common lazy-loading scripts.
LAZY_SOURCES = (
    "data-src", "data-original", "data-lazy-src", "data-lazy", "data-original-src", "data-img-src", "data-image",
    "data-img-url", "data-url", "data-hi-res-src", "data-actualsrc", "data-echo",
)  # fmt: skip
LAZY_SOURCE_SETS = ("data-srcset", "data-lazy-srcset", "data-original-set")
_LAZY = frozenset(LAZY_SOURCES + LAZY_SOURCE_SETS)
_UNREADABLE_TYPES = ("image/avif", "image/jxl", "image/svg+xml")  # a <source> that the later stages cannot read
# Rules for parsing dimension values (HTML Standard): what follows the number is ignored, except a percent sign.
_PIXELS = re.compile(r"[\t\n\f\r ]*+(\d++)(?:\.\d*+)?+(%?)", re.ASCII)
_STYLE_SIZE = {
    side: re.compile(rf"(?:^|[;\s]){side}\s*+:\s*+(\d{{1,5}})(?:\.\d*+)?px", re.IGNORECASE)
    for side in ("width", "height")
}
_MAX_DIGITS = 5
# What a page shows before the real image is there, by the name of the file.
_PLACEHOLDER = re.compile(
    r"(?:blank|spacer|placeholder|transparent|pixel|clear|dot|empty|1x1|lazy|lazyload|loading|loader|gr[ae]y)"
    r"[-_\dx]*+\.(?:gif|png|svg|jpe?g|webp)",
    re.IGNORECASE,
)


class PictureSources:
    """The `<source>` elements of a `<picture>`, which are searched once for all of its images."""

    def __init__(self) -> None:
        self._sources: list[Attributes] = []

    def add(self, attributes: Attributes) -> None:
        """Take one over, by its attributes."""
        self._sources.append(attributes)

    @cached_property
    def best(self) -> str | None:
        """The first image that the later stages can read; None where there is none."""
        for source in self._sources:
            if (source.get("type") or "").strip().lower() not in _UNREADABLE_TYPES:
                value = source.get("srcset") or next((source[n] for n in LAZY_SOURCE_SETS if source.get(n)), None)
                best = best_of_srcset(value)
                if best:
                    return best
        return None


def image_source(attributes: Attributes, sources: PictureSources | None = None) -> str | None:
    """The address of an image as the page gives it, the largest there is; None where there is none.

    Args:
        attributes: of the `<img>`.
        sources: of its `<picture>`.
    """
    if not _LAZY.isdisjoint(attributes):
        for name in LAZY_SOURCE_SETS:
            best = best_of_srcset(attributes.get(name))
            if best:
                return best
        for name in LAZY_SOURCES:
            value = attributes.get(name)
            if value and _is_address(value):
                return value
    src = (attributes.get("src") or "").strip()
    is_real = _is_picture(src)
    best = best_of_srcset(attributes["srcset"], src if is_real else None) if "srcset" in attributes else None
    if best:
        return best
    if is_real:
        return src
    if sources is not None and sources.best:
        return sources.best
    return src or None


def _is_picture(address: str) -> bool:
    """Whether an address may be that of a picture, and not of a placeholder."""
    if not address or address.startswith("#") or address[:11].lower().startswith(("data:", "about:", "javascript:")):
        return False
    name = address.partition("?")[0].rpartition("/")[2]
    return _PLACEHOLDER.fullmatch(name) is None


def _is_address(value: str) -> bool:
    """Whether a lazy-loading attribute holds an address and not a switch: `data-lazy="true"`."""
    value = value.strip()
    return not value.lower().startswith(("data:", "{", "[", "#")) and ("/" in value or "." in value)


def best_of_srcset(value: str | None, src: str | None = None) -> str | None:
    """The image of a `srcset` with the largest width or density; None where it is empty or all placeholders.

    Args:
        src: the `src` beside it, which counts as density 1 where no width is given (HTML Standard, "updating the
            source set").
    """
    found = [candidate for candidate in parse_srcset(value or "") if _is_picture(candidate.url)]
    if not found:
        return None
    sizes = [candidate.width or candidate.density or 0.0 for candidate in found]
    if src and max(sizes) < 1 and all(candidate.width is None for candidate in found):
        return src
    return found[sizes.index(max(sizes))].url


def declared_size(attributes: Attributes, side: str) -> int | None:
    """Pixels that an image's `width` or `height` attribute or style declares; None for percentages and the like."""
    value = attributes.get(side)
    pixels = _PIXELS.match(value) if value else None
    if pixels and not pixels[2]:
        return int(pixels[1]) if len(pixels[1]) <= _MAX_DIGITS else None
    style = attributes.get("style")
    found = _STYLE_SIZE[side].search(style) if style else None
    return int(found.group(1)) if found else None
