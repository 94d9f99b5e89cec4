"""Walk the tree of a page in document order, over the elements that say something about its images."""

import itertools
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mella_hf.know.rows import in_memory

if TYPE_CHECKING:
    from turbohtml import Document, Element

HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_TELLING = ("img", "source", "figure", *HEADINGS, "meta", "base", "title")
_IMG = re.compile(rb"<[iI][mM]")  # <image> is one too
_SELF_CLOSED = re.compile(r"<([tsi](?:itle|cript|tyle|extarea|frame))(\s[^<>]*)?/>")
_HEAD_LENGTH = 8192  # where such elements stand, if a page has any
_ROOT = re.compile(r"<(html|body)(?=[\s/>])[^>]*+>?", re.IGNORECASE)  # ends with the text at the latest
_LONG = 100_000  # characters, from which on it matters how many such tags a page has
_ROOTS = 100
_SHORT = 20_000  # characters, of which no markup makes a tree of more than 400 MB


class PageTree(NamedTuple):
    """What a page's text was parsed to.

    Attributes:
        document: the parser's, without templates, which show nothing.
        elements: img, source, figure, h1 to h6, meta, base and title.
    """

    document: "Document"
    elements: "list[Element]"


def may_have_images(body: bytes) -> bool:
    """Whether a page, in any encoding, may show an image. It saves parsing most pages that show none."""
    return b"<img" in body or _IMG.search(body) is not None or b"\0" in body  # UTF-16 has null bytes


def parse_page(text: str) -> PageTree:
    """Parse a page as a browser without scripts does.

    Raises:
        RowFailed: `page_too_large`, where its tree takes more memory than a row may.
    """
    from turbohtml import parse

    if len(text) < _SHORT:
        document = parse(text, positions=False)
    else:  # an open <b> with attributes comes again in each paragraph, so that few bytes can make many elements
        with in_memory("page"):
            document = parse(_with_few_roots(text) if len(text) > _LONG else text, positions=False)
    for template in document.select("template"):
        if is_html(template):  # in a drawing it is an element as any other
            template.decompose()
    return PageTree(document, list(document.iter_elements(_TELLING)))


def _with_few_roots(text: str) -> str:
    """The same page, but `<html>` and `<body>` bring new attributes only the first hundred times.

    The parser gives all of these to one element, in a time that grows with the square of their number.
    """
    seen = itertools.count()
    return _ROOT.sub(lambda found: found[0] if next(seen) < _ROOTS else f"<{found[1]}>", text)


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
