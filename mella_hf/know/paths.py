"""Decide whether a rule's path, such as one of robots.txt, matches a URL's path (RFC 9309, 2.2.2 and 2.2.3)."""

import re
from urllib.parse import quote, urlsplit

_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, 2.3


def path_of(url: str) -> str:
    """The path of an address, with its query."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def covers(location: str, path: str) -> bool:
    """Whether a location covers a path. It is a prefix; * stands for anything, a final $ for the end (robots.txt).

    Each piece is taken where it first stands, so that a hostile file cannot make this slower than the file is long.
    """
    location, path = _comparable(location), _comparable(path)
    ends = location.endswith("$")
    first, *others = location.removesuffix("$").split("*")
    if not others:
        return path == first if ends else path.startswith(first)
    if not path.startswith(first):
        return False
    at = len(first)
    for piece in others[:-1]:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return path[at:].endswith(others[-1]) if ends else others[-1] in path[at:]


def _comparable(path: str) -> str:
    """A path as RFC 9309, 2.2.2 compares them: UTF-8 percent-encoded, and unreserved characters not."""

    def one(found: re.Match[str]) -> str:
        byte = int(found[1], 16)
        return chr(byte) if byte in _UNRESERVED else f"%{found[1].upper()}"

    return _PERCENT.sub(one, quote(path, safe="/%:@!$&'()*+,;=?#[]~-._ "))
