"""Find the address and size of the real image from an `<img>` and its `<source>` elements.

It chooses what a browser would show: lazy-loading attributes before placeholders, the best of `srcset`.
"""

import re
from collections.abc import Mapping, Sequence

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
_SRCSET = re.compile(r"\s*,*\s*(\S*[^\s,])(?:\s+([^,]*))?")
_PIXELS = re.compile(r"\s*(\d{1,5})(?:\.\d*)?\s*(?:px)?\s*$", re.IGNORECASE)
_STYLE_SIZE = {
    side: re.compile(rf"(?:^|[;\s]){side}\s*:\s*(\d{{1,5}})(?:\.\d*)?px", re.IGNORECASE) for side in ("width", "height")
}


def image_source(attributes: Attributes, sources: Sequence[Attributes]) -> str | None:
    """The address of an image as the page gives it, the largest there is; None where there is none.

    Args:
        attributes: of the `<img>`.
        sources: attributes of the `<source>` elements before it in its `<picture>`.
    """
    if not _LAZY.isdisjoint(attributes):
        for name in LAZY_SOURCE_SETS:
            if best := best_of_srcset(attributes.get(name)):
                return best
        for name in LAZY_SOURCES:
            if (value := attributes.get(name)) and _is_address(value):
                return value
    if "srcset" in attributes and (best := best_of_srcset(attributes["srcset"])):
        return best
    src = (attributes.get("src") or "").strip()
    if src and src[:5].lower() != "data:":
        return src
    for source in sources:
        if (source.get("type") or "").lower() not in _UNREADABLE_TYPES:
            value = source.get("srcset") or next((source[n] for n in LAZY_SOURCE_SETS if source.get(n)), None)
            if best := best_of_srcset(value):
                return best
    return src or None


def _is_address(value: str) -> bool:
    """Whether a lazy-loading attribute holds an address and not a switch: `data-lazy="true"`."""
    value = value.strip()
    return not value.lower().startswith(("data:", "{", "[", "#")) and ("/" in value or "." in value)


def best_of_srcset(value: str | None) -> str | None:
    """The image of a `srcset` with the largest width or density; None where it is empty or all data: URLs."""
    best, best_size = None, -1.0
    for match in _SRCSET.finditer(value or ""):
        url, descriptor = match.group(1), (match.group(2) or "1x").split()
        if url.lower().startswith("data:") or not descriptor:
            continue
        try:
            size = float(descriptor[0][:-1]) if descriptor[0][-1:] in "wxWX" else 0.0
        except ValueError:
            continue  # a descriptor that no browser reads either
        if size > best_size:
            best, best_size = url, size
    return best


def declared_size(attributes: Attributes, side: str) -> int | None:
    """Pixels that an image's `width` or `height` attribute or style declares; None for percentages and the like."""
    if (value := attributes.get(side)) and (found := _PIXELS.match(value)):
        return int(found.group(1))
    style = attributes.get("style")
    found = _STYLE_SIZE[side].search(style) if style else None
    return int(found.group(1)) if found else None
