"""Extract candidates from an HTML page: one for each image that has a text of its own.

It reads what a browser would show: the real image instead of its placeholder, `<base href>`, `<noscript>`; it ignores
comments, templates and scripts.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

from mella_hf.know.links import absolute_url
from mella_hf.know.optouts import PRODUCT, RSL, TDM_DIRECTIVE, is_reserved, robots_directives, usage_opt_outs
from mella_hf.know.pages.charset import decode_page
from mella_hf.know.pages.image_source import Attributes, PictureSources, declared_size, image_source
from mella_hf.know.pages.tree import HEADINGS, PageTree, is_html, may_have_images, open_self_closed, parse_page
from mella_hf.know.pages.warc import Page
from mella_hf.know.records import bucket_of, site_of
from mella_hf.know.rsl import names_rsl, parse_rsl, reserves
from mella_hf.stage import DROPPED

if TYPE_CHECKING:
    from turbohtml import Element, Node

MAX_TEXT = 500  # characters of a heading, caption or title; more is a layout that misuses the element
MAX_ALT = 4000  # characters; an alt-text this long is dropped later, with its reason
_LICENSES = '[rel~="license"][href], a[href*="creativecommons.org/licenses/"]'
_LANGUAGES = "[lang], [xml\\:lang]"


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
    text, encoding = decode_page(page.body, page.content_type)
    if text.startswith("<?xml") or "xhtml" in (page.content_type or ""):
        text = open_self_closed(text)
    # The name of RSL's namespace; in bytes, since a search in wide characters takes a tenth of a page's time.
    may_hold_rsl = "rslstandard.org" in text if encoding.startswith("utf-16") else b"rslstandard.org" in page.body
    return list(_Reader(page, parse_page(text), encoding, may_hold_rsl).candidates(counts))


class _Image(NamedTuple):
    """An `<img>`, the heading before it, and the `<source>`s of its `<picture>`."""

    element: "Element"
    heading: "Element | None"
    sources: PictureSources | None


class _Reader:
    """One parsed page, and what holds for all of its images."""

    def __init__(self, page: Page, tree: PageTree, encoding: str, may_hold_rsl: bool = False):
        self.page, self.document, self.encoding = page, tree.document, encoding
        self.base: str | None = None
        self.has_figures = False
        self.title: str | None = None
        self.robots = robots_directives(page.robots)
        self.fallback = language_tag(page.content_language)
        self.images = self._survey(tree.elements)
        self.may_hold_rsl = may_hold_rsl

    def _survey(self, elements: "list[Element]") -> list[_Image]:
        """The images; what else the page says is taken over on the way."""
        images: list[_Image] = []
        heading: Element | None = None
        picture: Node | None = None  # the last that had a source
        sources: PictureSources | None = None
        for element in elements:
            tag = element.tag
            if tag == "img":
                is_in = sources is not None and element.parent is picture
                images.append(_Image(element, heading, sources if is_in else None))
            elif tag in HEADINGS:
                heading = element
            elif tag == "source":
                if element.matches("picture > source"):
                    if sources is None or element.parent is not picture:
                        picture, sources = element.parent, PictureSources()
                    sources.add(_attributes(element))
            elif tag == "meta":
                self._declare(element)
            elif tag == "figure":
                self.has_figures = True
            elif tag == "title":
                if self.title is None and element.closest("svg") is None:  # the title of a drawing is not the page's
                    self.title = _clean(element.text)
            elif tag == "base" and self.base is None and "href" in element.attrs and is_html(element):
                self.base = self._resolve(element.attr("href") or "", self.page.url)[0] or self.page.url  # the first
        return images

    def candidates(self, counts: Counter[str]) -> Iterator[Candidate]:
        """The images that say something, as rows."""
        counts["images"] += len(self.images)
        url = self.page.url
        licenses = self.document.select(_LICENSES)
        license_url = self._license(licenses)
        figures = self._figures(licenses) if self.has_figures else {}
        robots = list(dict.fromkeys(self.robots + [RSL] * self._is_reserved_by_rsl(licenses)))
        site, bucket = _home("/".join(url.split("/", 3)[:3]))
        seen: set[tuple[str, str]] = set()
        read = heading_text = None
        for position, (element, heading, sources) in enumerate(self.images):
            alt = element.attr("alt")
            if alt is None or not alt.strip():
                counts[DROPPED + ("alt_missing" if alt is None else "alt_blank")] += 1
                continue
            attributes = _attributes(element)
            source = image_source(attributes, sources)
            target, reason = self._resolve(source) if source else (None, "source_missing")
            if target is None or (target, alt) in seen:
                counts[DROPPED + (reason or "repeated_in_page")] += 1
                continue
            seen.add((target, alt))
            if heading is not None and heading is not read:  # once, and only where an image follows
                read, heading_text = heading, _clean(heading.text)
            figure = element.closest("figure") if figures else None
            caption, own_license = figures[figure].said() if figure in figures else (None, None)
            yield Candidate(
                url, target, alt[:MAX_ALT], _short(attributes.get("title")), caption,
                heading_text, self.title, self._language(element),
                declared_size(attributes, "width"), declared_size(attributes, "height"),
                own_license or license_url, robots, position, site, bucket,
            )  # fmt: skip

    def _resolve(self, address: str, base: str | None = None) -> tuple[str | None, str | None]:
        return absolute_url(base or self.base or self.page.url, address, self.encoding)

    def _declare(self, meta: "Element") -> None:
        """Take over what a `<meta>` says of the page."""
        said = meta.attr("name") or meta.attr("http-equiv") or meta.attr("property") or ""
        content = meta.attr("content") or ""
        for name in said.lower().replace(",", " ").split():  # "robots, otherbot" is both
            if name in ("robots", "x-robots-tag", PRODUCT):
                self.robots += robots_directives([content])
            elif name == "content-language":
                self.fallback = language_tag(content) or self.fallback
            elif name == "tdm-reservation" and is_reserved(content):
                self.robots.append(TDM_DIRECTIVE)
            elif name == "content-usage":
                self.robots += usage_opt_outs([content], ())
            elif name == "content-signal":
                self.robots += usage_opt_outs((), [content])

    def _is_reserved_by_rsl(self, licenses: "list[Element]") -> bool:
        """Whether the page links to an RSL licence, which is not read here, or holds one that reserves it."""
        if any(names_rsl(link.attr("rel"), link.attr("type")) for link in licenses if link.tag == "link"):
            return True
        if not self.may_hold_rsl:
            return False
        scripts = (one for one in self.document.select("script[type]") if names_rsl("license", one.attr("type")))
        return any(reserves(parse_rsl(script.text), self.page.url) for script in scripts)

    def _figures(self, licenses: "list[Element]") -> "dict[Node, _Figure]":
        """The figures that have a caption or a license.

        Each goes to all figures around it that have none yet. So the work is linear, however figures are nested.
        """
        found: dict[Node, _Figure] = {}
        for caption in self.document.select("figcaption"):
            for figure in _figures_around(caption, lambda one: one in found):
                found[figure] = _Figure(caption)
        by_name = [one for one in licenses if _names_license(one)]
        for link in (*by_name, *licenses):
            url = self._license([link]) if link.closest("figure") is not None else None
            if url is not None:
                for figure in _figures_around(link, lambda one: one in found and found[one].license is not None):
                    found.setdefault(figure, _Figure()).license = url
        return found

    def _language(self, image: "Element") -> str | None:
        """The language that the nearest element around an image declares; else what `<meta>` or the header does."""
        place: Node | None = image
        while place is not None and (said := place.closest(_LANGUAGES)) is not None:
            language = language_tag(said.attr("lang") or said.attr("xml:lang"))
            if language:
                return language
            place = said.parent
        return self.fallback

    def _license(self, links: "list[Element]") -> str | None:
        """The license that a page links to: `rel=license` first, else Creative Commons."""
        best = next(filter(_names_license, links), links[0] if links else None)
        return self._resolve(best.attr("href") or "")[0] if best is not None else None


@dataclass(slots=True)
class _Figure:
    """What a `<figure>` says of its images."""

    caption: "Element | None" = None
    license: str | None = None
    text: str | None = None  # of the caption, once it was read

    def said(self) -> tuple[str | None, str | None]:
        """Caption and license."""
        if self.caption is not None and self.text is None:
            self.text = _clean(self.caption.text) or ""
        return self.text or None, self.license


def _figures_around(element: "Element", is_done: "Callable[[Node], bool]") -> "Iterator[Node]":
    """The figures around an element, from the innermost outwards, up to the first that is done."""
    figure = element.closest("figure")
    while figure is not None and not is_done(figure):
        yield figure
        figure = figure.parent.closest("figure") if figure.parent is not None else None


def _names_license(link: "Element") -> bool:
    return "license" in (link.attr("rel") or "")


def _attributes(element: "Element") -> Attributes:
    """The attributes by name. Those that hold words, such as `class`, are lists; none of them is read."""
    return cast("Attributes", element.attrs.copy())


@lru_cache(maxsize=4096)
def _home(origin: str) -> tuple[str, int]:
    """Site and bucket of all pages of an origin."""
    site = site_of(origin)
    return site, bucket_of(site)


@lru_cache(maxsize=1024)
def language_tag(value: str | None) -> str | None:
    """A single language tag in lower case, such as "sr-latn"; None for none, for several, or for what is not a tag."""
    tag = (value or "").strip().lower().replace("_", "-")
    return tag if re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", tag) else None


def _clean(text: str) -> str | None:
    return " ".join(text.split())[:MAX_TEXT] or None


def _short(text: str | None) -> str | None:
    return _clean(text) if text else None
