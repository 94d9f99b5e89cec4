"""Resolve an address on a page to an absolute URL, or say why that is not possible."""

import re
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

MAX_URL = 2000  # characters; longer ones are generated, and servers refuse them
_SAFE = "/%:@!$&'()*+,;=~-._"  # what stays in a URL as it is (RFC 3986)
# An address that needs no more than its folder before it: no "." or empty segments, query, scheme or odd letters.
_PLAIN = re.compile(r"/?(?:[A-Za-z0-9_][A-Za-z0-9_.~@%+=,-]*/)*[A-Za-z0-9_][A-Za-z0-9_.~@%+=,-]*")
# One with a path or a host of its own, unlike "", "?x" and "http:".
_PATH = re.compile(r"(?!https?:(?://)?(?:[?#;]|$))[./]*\w", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[1-9]\d{0,3})?")


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
