"""Pages and pictures of manuals in Debian packages, each named by PACKAGE/path within it.

KDE keeps the pages of a manual in one file, `index.cache.bz2`; its help shows the English picture where a language has
none of its own. MATE's manuals are DocBook: here its pictures become images, as DocBook's stylesheets make them.
"""

import bz2
import re
from functools import lru_cache
from pathlib import Path

from debian_packages import debian_package

COMMON = "libreoffice-help-common"  # has most pictures of LibreOffice's help
_MEDIA = re.compile(r"<mediaobject>.*?</mediaobject>", re.DOTALL)
_PICTURE = re.compile(r'fileref="([^"]+)"')
_PHRASE = re.compile(r"<phrase>(.*?)</phrase>", re.DOTALL)


def picture(path: str) -> Path:
    """A picture, or the one that is shown in its place."""
    package, _, rest = path.partition("/")
    places = [
        debian_package(package) / rest,
        debian_package(package) / re.sub("(?<=/doc/HTML/)[^/]+", "en", rest),
    ]
    if package.startswith("libreoffice-help-"):
        places.append(debian_package(COMMON) / rest)
    return next((place for place in places if place.is_file()), places[-1])


def page_of(path: str) -> bytes:
    """The HTML of a page."""
    package, _, rest = path.partition("/")
    file = debian_package(package) / rest
    if "/doc/HTML/" in rest:
        return kde_pages(file.parent / "index.cache.bz2")[file.name]
    if "/share/help/" in rest:
        return docbook_page(file.read_text("utf-8"), rest.split("/share/help/")[1].split("/")[0])
    return file.read_bytes()


@lru_cache(maxsize=4)
def kde_pages(cache: Path) -> dict[str, bytes]:
    """The pages of one KDE manual by their names."""
    _, *parts = bz2.decompress(cache.read_bytes()).split(b'<FILENAME filename="')
    pairs = (part.split(b'">', 1) for part in parts)
    return {name.decode(): html.removesuffix(b"</FILENAME>") for name, html in pairs}


def docbook_page(text: str, language: str) -> bytes:
    """DocBook with its pictures as HTML images, their phrase as alt-text."""

    def image(media: re.Match[str]) -> str:
        source, phrase = _PICTURE.search(media[0]), _PHRASE.search(media[0])
        if source is None or phrase is None:
            return ""
        alt = re.sub("<[^>]*>", "", phrase[1]).replace('"', "&quot;")
        return f'<img src="{source[1]}" alt="{alt}">'

    return f'<html lang="{language}"><body>{_MEDIA.sub(image, text)}</body></html>'.encode()
