"""An HTML page enters; one candidate for each image that says something about itself leaves.

What a browser would show counts: lazy-loading attributes before placeholders, the best of `srcset`, `<base href>`,
`<noscript>`; not what stands in comments, templates and scripts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from mella_hf.know.charset import page_utf8
from mella_hf.know.records import bucket_of, site_of
from mella_hf.know.warc import Page

# Where pages keep the real image while `src` holds a placeholder: the attributes of OBELICS (Laurençon et al. 2023,
# appendix A.1.2) and of the common lazy-loading scripts.
LAZY_SOURCES = (
    "data-src", "data-original", "data-lazy-src", "data-lazy", "data-original-src", "data-img-src", "data-image",
    "data-img-url", "data-url", "data-hi-res-src", "data-actualsrc", "data-echo",
)  # fmt: skip
LAZY_SOURCE_SETS = ("data-srcset", "data-lazy-srcset", "data-original-set")
_LAZY = frozenset(LAZY_SOURCES + LAZY_SOURCE_SETS)
MAX_TEXT = 500  # characters of a heading, caption or title; more is a layout that misuses the element
MAX_ALT = 4000  # characters; an alt-text this long is dropped later, with its reason
MAX_URL = 2000  # characters; longer ones are generated, and servers refuse them

# In one pass over the tree: lexbor's selectors take as long as a third of the parsing, however few they find.
_END = "mella-end"  # an element put where reading ends, see `_parse`
_NODES = f"img,figure,picture>source,h1,h2,h3,h4,h5,h6,meta[content],base[href],title,{_END}"
_IMG = re.compile(rb"<[iI][mM][gG]")
# An <img> of which a tokenizer and this expression see the same end, whatever is quoted in it.
_WHOLE_IMG = re.compile(rb"""<img(?:\s+[\w:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?)*\s*/?>""")
# What says something of the images before it: another image ("image" is one too), what holds for the page, licenses.
_LATER = re.compile(rb"<[imbthIMBTH](?i:mg|mage|eta|ase|itle|tml|ody)")  # written so that it fails early
_OPEN = frozenset(("figure", "h1", "h2", "h3", "h4", "h5", "h6"))  # whose text is read, and may go on
_HEAD_BYTES = 8192  # where such elements stand, if a page has any
_SELF_CLOSED = re.compile(rb"<([tsi](?:itle|cript|tyle|extarea|frame))(\s[^<>]*)?/>")
_SRCSET = re.compile(r"\s*,*\s*(\S*[^\s,])(?:\s+([^,]*))?")
_PIXELS = re.compile(r"\s*(\d{1,5})(?:\.\d*)?\s*(?:px)?\s*$", re.IGNORECASE)
_STYLE_SIZE = {
    side: re.compile(rf"(?:^|[;\s]){side}\s*:\s*(\d{{1,5}})(?:\.\d*)?px", re.IGNORECASE) for side in ("width", "height")
}
_UNREADABLE_TYPES = ("image/avif", "image/jxl", "image/svg+xml")  # a <source> that the later stages cannot read
_CC = "creativecommons.org/"
_SAFE = "/%:@!$&'()*+,;=~-._"  # what stays in a URL as it is (RFC 3986)
# An address that needs no more than its folder before it: no "." or empty segments, query, scheme or odd letters.
_PLAIN = re.compile(r"/?(?:[A-Za-z0-9_][A-Za-z0-9_.~@%+=,-]*/)*[A-Za-z0-9_][A-Za-z0-9_.~@%+=,-]*")
_PATH = re.compile(r"[./]*\w")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[1-9]\d{0,3})?")
_AGENT = "mella_hf"


class Candidate(NamedTuple):
    """A row of `mella_hf.know.records.CANDIDATES`."""

    page_url: str
    image_url: str
    alt: str
    title: str | None
    figcaption: str | None
    heading: str | None
    page_title: str | None
    page_language: str | None
    declared_width: int | None
    declared_height: int | None
    license_url: str | None
    robots: list[str]
    position: int
    site: str
    bucket: int


def page_candidates(page: Page, counts: Counter[str]) -> list[Candidate]:
    """The images of a page that have an alt-text, in document order.

    Args:
        counts: receives "images" and, for each image that goes, "dropped_<reason>": `alt_missing`, `alt_blank`,
            `source_missing`, `source_not_http` (data: and the like), `url_invalid`, `repeated_in_page`.
    """
    body = page_utf8(page.body, page.content_type)
    if not _IMG.search(body):
        return []
    if body.startswith(b"<?xml") or "xhtml" in (page.content_type or ""):
        body = open_self_closed(body)
    return list(_Reader(page, *_parse(body)).candidates(counts))


def _parse(body: bytes) -> tuple[bytes, Any, list[Any]]:
    """The part of a page that says something of its images, its tree, and the nodes of interest in it.

    What follows the last image is half of the real pages, and nearly all the time goes into parsing: so it is left
    out where nothing in it matters. An element stands for it; when that does not come out as an element (the "<img"
    was in a comment, a script, an attribute), or is within a caption or a heading, the whole page is parsed.
    """
    from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser

    if end := _end_of_images(body):
        part = body[:end]
        tree = LexborHTMLParser(part + b"<%s>" % _END.encode(), options=LexborDocumentOptions.WO_EVENTS)
        nodes = tree.css(_NODES)
        if nodes and nodes[-1].tag == _END:
            node = nodes.pop().parent
            while node is not None and node.tag not in _OPEN:
                node = node.parent
            if node is None:
                return part, tree, nodes
    tree = LexborHTMLParser(body, options=LexborDocumentOptions.WO_EVENTS)
    return body, tree, tree.css(_NODES)


def _end_of_images(body: bytes) -> int:
    """Where the last image of a page, or the figure around it, ends; 0 if something that matters may follow."""
    last = _WHOLE_IMG.match(body, max(body.rfind(b"<img"), 0))
    if last is None or _LATER.search(body, last.end()) or body.find(b"license", last.end()) > 0:
        return 0
    figure = body.find(b"</figure>", last.end())
    return figure + len(b"</figure>") if figure > 0 else last.end()


class _Reader:
    """One parsed page, and what holds for all of its images."""

    def __init__(self, page: Page, body: bytes, tree: Any, nodes: list[Any]):
        self.page, self.tree, self.nodes = page, tree, nodes
        root = tree.root.attributes if tree.root is not None else {}
        self.language = language_tag(root.get("lang") or root.get("xml:lang"))
        self.languages_vary = body.count(b"lang=") > ("lang" in root) + ("xml:lang" in root)
        self.has_figures = False
        self.has_licenses = b"license" in body  # as Creative Commons' addresses have
        self.base = page.url
        self.title: str | None = None
        self.robots = [directive for value in page.robots for directive in robots_directives(value)]
        self.fallback = language_tag(page.content_language)

    def candidates(self, counts: Counter[str]) -> Iterator[Candidate]:
        """The images, once the rest of the tree has been looked at."""
        images = []  # (<img>, the heading before it, attributes of the <source>s of its <picture>)
        heading: Any = None
        sources: list[dict[str, str | None]] = []
        for node in self.nodes:
            tag = node.tag
            if tag == "img":
                images.append((node, heading, sources))
                sources = []
            elif tag == "source":
                sources.append(node.attributes)
            elif tag == "meta":
                self._declare(node.attributes)
            elif tag == "figure":
                self.has_figures = True
            elif tag == "title":
                self.title = self.title or (None if _within(node, "svg") else _clean(node.text()))
            elif tag == "base":
                if self.base == self.page.url:  # the first one counts
                    href = node.attributes.get("href") or ""
                    self.base = absolute_url(self.page.url, href)[0] or self.page.url
            else:
                heading = node
        counts["images"] += len(images)
        license_url = self._license(self.tree)
        language = self.language or self.fallback
        robots = list(dict.fromkeys(self.robots))
        site, bucket = _home("/".join(self.page.url.split("/", 3)[:3]))
        seen: set[tuple[str, str]] = set()
        read = heading_text = None
        for position, (node, heading, sources) in enumerate(images):
            attributes = node.attributes
            alt = attributes.get("alt")
            target, reason = self._target(alt, attributes, sources)
            if target is not None and (target, alt) in seen:
                reason = "repeated_in_page"
            if reason is not None or alt is None or target is None:
                counts[f"dropped_{reason}"] += 1
                continue
            seen.add((target, alt))
            if heading is not read:  # once, and only where an image follows
                read, heading_text = heading, _clean(heading.text())
            caption, own_license, own_language = self._around(node)
            yield Candidate(
                self.page.url, target, alt[:MAX_ALT], _short(attributes.get("title")), caption,
                heading_text, self.title, own_language or language,
                declared_size(attributes, "width"), declared_size(attributes, "height"),
                own_license or license_url, robots, position, site, bucket,
            )  # fmt: skip

    def _target(
        self, alt: str | None, attributes: dict[str, str | None], sources: Sequence[dict[str, str | None]]
    ) -> tuple[str | None, str | None]:
        """(URL of an image, None), or (None, the reason why it is no candidate)."""
        if alt is None or not alt.strip():
            return None, "alt_missing" if alt is None else "alt_blank"
        source = image_source(attributes, sources)
        return absolute_url(self.base, source) if source else (None, "source_missing")

    def _declare(self, attributes: dict[str, str | None]) -> None:
        """Take over what a `<meta>` says of the page."""
        name = (attributes.get("name") or attributes.get("http-equiv") or "").strip().lower()
        content = attributes.get("content") or ""
        if name in ("robots", _AGENT):
            self.robots += robots_directives(content)
        elif name == "content-language":
            self.fallback = language_tag(content) or self.fallback
        elif name == "tdm-reservation" and content.strip() == "1":
            self.robots.append("tdm-reservation")

    def _around(self, node: Any) -> tuple[str | None, str | None, str | None]:
        """Caption and license of the figure around an image, and the language of its nearest ancestor."""
        caption = license_url = language = None
        attributes = node.attributes
        if self.languages_vary or self.has_figures:
            in_figure = False
            while node is not None and (tag := node.tag) not in (None, "html", "-undef"):
                if self.languages_vary and language is None:
                    attributes = node.attributes
                    language = language_tag(attributes.get("lang") or attributes.get("xml:lang"))
                if self.has_figures and tag == "figure" and not in_figure:
                    in_figure = True
                    found = node.css_first("figcaption")
                    caption = _clean(found.text()) if found is not None else None
                    license_url = self._license(node)
                node = node.parent
        return caption, license_url, language

    def _license(self, scope: Any) -> str | None:
        """The license that a page, or a figure in it, links to: `rel=license` first, else Creative Commons."""
        if not self.has_licenses:
            return None
        nodes = scope.css(f'[rel~="license"][href], a[href*="{_CC}licenses/"]')
        named = [n.attributes for n in nodes]
        best = next((a for a in named if "license" in (a.get("rel") or "")), named[0] if named else None)
        return absolute_url(self.page.url, best.get("href") or "")[0] if best else None


def _within(node: Any, tag: str) -> bool:
    """Whether an element of that name stands around a node: the title of a drawing is not the page's."""
    while node is not None and node.tag != tag:
        node = node.parent
    return node is not None


@lru_cache(maxsize=4096)
def _home(origin: str) -> tuple[str, int]:
    """Site and bucket of all pages of an origin."""
    site = site_of(origin)
    return site, bucket_of(site)


def open_self_closed(body: bytes) -> bytes:
    """XHTML with `<title/>` and the like opened and closed: HTML would take what follows for their text."""
    return _SELF_CLOSED.sub(rb"<\1\2></\1>", body) if _SELF_CLOSED.search(body, 0, _HEAD_BYTES) else body


def image_source(attributes: dict[str, str | None], sources: Sequence[dict[str, str | None]]) -> str | None:
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
    if src and not src.lower().startswith("data:"):
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


def absolute_url(base: str, address: str) -> tuple[str | None, str | None]:
    """(absolute URL, None), or (None, reason): `source_not_http` or `url_invalid`.

    The URL has no fragment, and what must not stand in a request line is percent-encoded; the host stays as it is.
    """
    folder, origin = _places(base)
    if origin and _PLAIN.fullmatch(address) and len(address) < MAX_URL // 2:  # nine in ten; joining costs 20 times this
        return (origin if address[0] == "/" else folder) + address, None
    # What has a path of its own is the same from every page of a folder: a site's logo is joined once.
    return _join(folder if folder and _PATH.match(address) else base, address)


@lru_cache(maxsize=4096)
def _join(base: str, address: str) -> tuple[str | None, str | None]:
    try:
        scheme, host, path, query, _ = urlsplit(urljoin(base, address.strip()))
        if scheme not in ("http", "https"):
            return None, "source_not_http"
        if not host or any(map(str.isspace, host)) or urlsplit(f"//{host}").port == 0:  # .port raises when wrong
            return None, "url_invalid"
    except ValueError:
        return None, "url_invalid"
    url = urlunsplit((scheme, host, quote(path, safe=_SAFE) or "/", quote(query, safe=_SAFE + "?"), ""))
    return (url, None) if len(url) <= MAX_URL else (None, "url_invalid")


@lru_cache(maxsize=1024)
def _places(base: str) -> tuple[str, str]:
    """(the folder of a base URL with its "/", its origin without), both empty where joining needs more care."""
    origin = "/".join(base.split("/", 3)[:3])
    path = base[len(origin) :].partition("?")[0].partition("#")[0]
    folder = path[: path.rfind("/") + 1] or "/"
    plain = len(base) < MAX_URL // 2 and _ORIGIN.fullmatch(origin) and (folder == "/" or _PLAIN.fullmatch(folder + "x"))
    return (origin + folder, origin) if plain else ("", "")


def declared_size(attributes: dict[str, str | None], side: str) -> int | None:
    """Pixels that an image's `width` or `height` attribute or style declares; None for percentages and the like."""
    if (value := attributes.get(side)) and (found := _PIXELS.match(value)):
        return int(found.group(1))
    style = attributes.get("style")
    found = _STYLE_SIZE[side].search(style) if style else None
    return int(found.group(1)) if found else None


@lru_cache(maxsize=1024)
def language_tag(value: str | None) -> str | None:
    """A single language tag in lower case, such as "sr-latn"; None for none, several, or what is no tag."""
    tag = (value or "").strip().lower().replace("_", "-")
    return tag if re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", tag) else None


def robots_directives(value: str) -> list[str]:
    """The directives of a robots meta tag or header that concern everyone or this project, in lower case.

    "otherbot: noindex, nofollow" speaks to another robot.
    """
    found, ours = [], True
    for part in value.lower().split(","):
        agent, colon, rest = part.strip().partition(":")
        if colon and not agent.startswith(("max-", "unavailable_after")):
            ours, part = agent.strip() in ("*", _AGENT), rest
        if ours and part.strip():
            found.append(part.strip())
    return found


def _clean(text: str) -> str | None:
    return " ".join(text.split())[:MAX_TEXT] or None


def _short(text: str | None) -> str | None:
    return _clean(text) if text else None
