"""The bytes of a page enter; the elements of its tree that say something of its images leave, in document order.

Nearly all the time of extraction goes into parsing, and half of a real page follows its last image: what says nothing
of images there is not parsed.
"""

import re
from typing import Any, NamedTuple

_END = "mella-end"  # an element put where reading ends
# Of all <meta>, those that declare something of a page's images.
_DECLARES = ("robots", "mella_hf", "tdm-reservation", "content-language")
_META = ",".join(f"[{place}~={name} i]" for place in ("name", "http-equiv") for name in _DECLARES)
# In one pass over the tree: lexbor's selectors take as long as a third of the parsing, however few they find.
_NODES = f"img,figure,picture>source,h1,h2,h3,h4,h5,h6,meta[content]:is({_META}),base[href],title,{_END}"
_IMG = re.compile(rb"<[iI][mM][gG]")
# An <img> of which a tokenizer and this expression see the same end, whatever is quoted in it.
_WHOLE_IMG = re.compile(rb"""<img(?:\s+[\w:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?)*\s*/?>""")
# What says something of the images before it: another image ("image" is one too), what holds for the page, licenses.
_LATER = re.compile(rb"<[imbthIMBTH](?i:mg|mage|eta|ase|itle|tml|ody)")  # written so that it fails early
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_OPEN = HEADINGS | {"figure"}  # whose text is read, and may go on
_FIGURE_BYTES = 1000  # between a figure's beginning and its image, if the part is to end behind the figure
_SELF_CLOSED = re.compile(rb"<([tsi](?:itle|cript|tyle|extarea|frame))(\s[^<>]*)?/>")
_HEAD_BYTES = 8192  # where such elements stand, if a page has any


class PageTree(NamedTuple):
    """What was parsed of a page.

    Attributes:
        body: the bytes that were.
        tree: the parser's; the nodes live as long as it does.
        nodes: img, figure, source of a picture, h1 to h6, meta, base, title.
        licenses: whether the page may link to a license.
    """

    body: bytes
    tree: Any
    nodes: list[Any]
    licenses: bool


def may_have_images(body: bytes) -> bool:
    """Whether a page, in any encoding, may show an image; most that do not are told without reading them."""
    return b"<img" in body or _IMG.search(body) is not None or b"\0" in body  # UTF-16 has them


def parse_images(body: bytes) -> PageTree:
    """Parse a page as far as it says something of its images.

    An element stands for what is left out; when that does not come out as an element (the last "<img" was in a
    comment, a script, an attribute), or is within a caption or a heading, the whole page is parsed.
    """
    from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser

    quick = int(LexborDocumentOptions.WO_EVENTS)
    licenses = b"license" in body  # as Creative Commons' addresses have
    if end := _end_of_images(body, licenses):
        part = body[:end]
        tree = LexborHTMLParser(part + b"<%s>" % _END.encode(), options=quick)
        nodes = tree.css(_NODES)
        if nodes and nodes[-1].tag == _END and not within(nodes.pop(), _OPEN):
            return PageTree(part, tree, nodes, licenses)
    tree = LexborHTMLParser(body, options=quick)
    return PageTree(body, tree, tree.css(_NODES), licenses)


def _end_of_images(body: bytes, licenses: bool) -> int:
    """Where the last image of a page, or the figure around it, ends; 0 if something that matters may follow."""
    start = max(body.rfind(b"<img"), 0)
    last = _WHOLE_IMG.match(body, start)
    if last is None or _LATER.search(body, last.end()) or licenses and body.find(b"license", last.end()) > 0:
        return 0
    if body.rfind(b"<figure", max(0, start - _FIGURE_BYTES), start) >= 0:
        figure = body.find(b"</figure>", last.end())
        return figure + len(b"</figure>") if figure > 0 else last.end()
    return last.end()


def within(node: Any, tags: frozenset[str]) -> bool:
    """Whether an element of one of these names stands around a node."""
    while (node := node.parent) is not None:
        if node.tag in tags:
            return True
    return False


def open_self_closed(body: bytes) -> bytes:
    """XHTML with `<title/>` and the like opened and closed: HTML would take what follows for their text."""
    return _SELF_CLOSED.sub(rb"<\1\2></\1>", body) if _SELF_CLOSED.search(body, 0, _HEAD_BYTES) else body
