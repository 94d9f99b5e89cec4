"""Walk the tree of a page in document order, over the elements that say something about its images."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from turbohtml import Document, Element

HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_TELLING = ("img", "source", "figure", *HEADINGS, "meta", "base", "title")
_IMG = re.compile(rb"<[iI][mM]")  # <image> is one too
_SELF_CLOSED = re.compile(r"<([tsi](?:itle|cript|tyle|extarea|frame))(\s[^<>]*)?/>")
_HEAD_LENGTH = 8192  # where such elements stand, if a page has any


class PageTree(NamedTuple):
    """What a page's text was parsed to.

    Attributes:
        document: the parser's, without templates, which show nothing.
        elements: img, source, figure, h1 to h6, meta, base and title.
    """

    document: "Document"
    elements: "list[Element]"


def may_have_images(body: bytes) -> bool:
    """Whether a page, in any encoding, may show an image; most that do not are told without reading them."""
    return b"<img" in body or _IMG.search(body) is not None or b"\0" in body  # UTF-16 has them


def parse_page(text: str) -> PageTree:
    """Parse a page as a browser without scripts does."""
    from turbohtml import parse

    document = parse(text, positions=False)
    for template in document.select("template"):
        if is_html(template):  # in a drawing it is an element as any other
            template.decompose()
    return PageTree(document, list(document.iter_elements(_TELLING)))


def is_html(element: "Element") -> bool:
    """Whether an element is one of HTML, and not of a drawing or a formula."""
    return element.namespace is _namespaces().HTML


@cache
def _namespaces() -> Any:
    from turbohtml import Namespace

    return Namespace


def open_self_closed(text: str) -> str:
    """XHTML with `<title/>` and the like opened and closed: HTML would take what follows for their text."""
    return _SELF_CLOSED.sub(r"<\1\2></\1>", text) if _SELF_CLOSED.search(text, 0, _HEAD_LENGTH) else text
