"""An HTML page enters; one candidate for each image that says something about itself leaves.

What a browser would show counts: the real image before its placeholder, `<base href>`, `<noscript>`; not what stands in
comments, templates and scripts.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from mella_hf.know.charset import page_utf8
from mella_hf.know.image_source import Attributes, declared_size, image_source
from mella_hf.know.links import absolute_url
from mella_hf.know.page_tree import HEADINGS, PageTree, may_have_images, open_self_closed, parse_images, within
from mella_hf.know.records import bucket_of, site_of
from mella_hf.know.warc import Page

MAX_TEXT = 500  # characters of a heading, caption or title; more is a layout that misuses the element
MAX_ALT = 4000  # characters; an alt-text this long is dropped later, with its reason
_LICENSES = '[rel~="license"][href], a[href*="creativecommons.org/licenses/"]'
_ROOT = frozenset(("html", "-undef"))
_DRAWING = frozenset(("svg",))
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
    if not may_have_images(page.body):
        return []
    body = page_utf8(page.body, page.content_type)
    if body.startswith(b"<?xml") or "xhtml" in (page.content_type or ""):
        body = open_self_closed(body)
    return list(_Reader(page, parse_images(body)).candidates(counts))


class _Image(NamedTuple):
    """An `<img>`, the heading before it, and the `<source>`s of its `<picture>`."""

    node: Any
    heading: Any
    sources: list[Attributes]


class _Reader:
    """One parsed page, and what holds for all of its images."""

    def __init__(self, page: Page, parsed: PageTree):
        self.page, self.parsed = page, parsed
        root = parsed.tree.root.attributes if parsed.tree.root is not None else {}
        self.language = language_tag(root.get("lang") or root.get("xml:lang"))
        said = parsed.body.count(b"lang=") + parsed.body.count(b"LANG=")
        self.languages_vary = said > ("lang" in root) + ("xml:lang" in root)
        self.has_figures = False
        self.base = page.url
        self.title: str | None = None
        self.robots = [directive for value in page.robots for directive in robots_directives(value)]
        self.fallback = language_tag(page.content_language)
        self.images = self._survey()

    def _survey(self) -> list[_Image]:
        """The images; what else the page says is taken over on the way."""
        images: list[_Image] = []
        heading: Any = None
        sources: list[Attributes] = []
        for node in self.parsed.nodes:
            tag = node.tag
            if tag == "img":
                images.append(_Image(node, heading, sources))
                if sources:
                    sources = []
            elif tag in HEADINGS:
                heading = node
            elif tag == "source":
                sources.append(node.attributes)
            elif tag == "meta":
                self._declare(node.attributes)
            elif tag == "figure":
                self.has_figures = True
            elif tag == "title":
                if self.title is None and not within(node, _DRAWING):  # the title of a drawing is not the page's
                    self.title = _clean(node.text())
            elif tag == "base" and self.base == self.page.url:  # the first one counts
                self.base = absolute_url(self.page.url, node.attributes["href"] or "")[0] or self.page.url
        return images

    def candidates(self, counts: Counter[str]) -> Iterator[Candidate]:
        """The images that say something, as rows."""
        counts["images"] += len(self.images)
        url = self.page.url
        license_url = self._license(self.parsed.tree)
        language = self.language or self.fallback
        robots = list(dict.fromkeys(self.robots))
        site, bucket = _home("/".join(url.split("/", 3)[:3]))
        seen: set[tuple[str, str]] = set()
        read = heading_text = None
        for position, (node, heading, sources) in enumerate(self.images):
            attributes = node.attributes
            alt = attributes.get("alt")
            if alt is None or not alt.strip():
                counts["dropped_alt_missing" if alt is None else "dropped_alt_blank"] += 1
                continue
            source = image_source(attributes, sources)
            target, reason = absolute_url(self.base, source) if source else (None, "source_missing")
            if target is None or (target, alt) in seen:
                counts[f"dropped_{reason or 'repeated_in_page'}"] += 1
                continue
            seen.add((target, alt))
            if heading is not read:  # once, and only where an image follows
                read, heading_text = heading, _clean(heading.text())
            caption, own_license, own_language = (
                self._around(node) if self.languages_vary or self.has_figures else (None, None, None)
            )
            yield Candidate(
                url, target, alt[:MAX_ALT], _short(attributes.get("title")), caption,
                heading_text, self.title, own_language or language,
                declared_size(attributes, "width"), declared_size(attributes, "height"),
                own_license or license_url, robots, position, site, bucket,
            )  # fmt: skip

    def _declare(self, attributes: Attributes) -> None:
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
        in_figure = not self.has_figures
        while node is not None and (tag := node.tag) is not None and tag not in _ROOT:
            if self.languages_vary and language is None:
                attributes = node.attributes
                language = language_tag(attributes.get("lang") or attributes.get("xml:lang"))
            if tag == "figure" and not in_figure:
                in_figure = True
                found = node.css_first("figcaption")
                caption = _clean(found.text()) if found is not None else None
                license_url = self._license(node)
            node = node.parent
        return caption, license_url, language

    def _license(self, scope: Any) -> str | None:
        """The license that a page, or a figure in it, links to: `rel=license` first, else Creative Commons."""
        if not self.parsed.licenses:
            return None
        named = [node.attributes for node in scope.css(_LICENSES)]
        best = next((a for a in named if "license" in (a.get("rel") or "")), named[0] if named else None)
        return absolute_url(self.page.url, best.get("href") or "")[0] if best else None


@lru_cache(maxsize=4096)
def _home(origin: str) -> tuple[str, int]:
    """Site and bucket of all pages of an origin."""
    site = site_of(origin)
    return site, bucket_of(site)


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
