"""Decide from a site's rules and a response's headers whether a URL may be fetched and kept.

robots.txt as in RFC 9309; `X-Robots-Tag` and meta robots with the opt-outs noai, noimageai, noindex; the TDM
Reservation Protocol (https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/). If a site's rules cannot
be read, nothing is fetched from it.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mella_hf.errors import MissingExtraError
from mella_hf.know.fetching.download import Response

try:
    from protego import Protego
except ImportError as error:
    raise MissingExtraError("protego", "collect", "Reading robots.txt") from error

PRODUCT = "mella_hf"  # the name that robots.txt may address
MAX_ROBOTS_BYTES = 500 << 10  # RFC 9309, 2.5: a crawler must parse at least 500 KiB
MAX_ROBOTS_REDIRECTS = 5  # RFC 9309, 2.3.1.2: follow five at least; after more there is no such file
MAX_AGE = 24 * 3600.0  # seconds; RFC 9309, 2.4: not to be used longer than a day
OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})  # "none" is "noindex, nofollow"
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


# Why a site cannot be reached at all; every other failure to read its rules is "robots_unavailable".
_UNREACHABLE = frozenset({"blocked_address", "dns_error", "connect_error", "timeout_connect", "tls_error", "bad_url"})


class Policy(NamedTuple):
    """What one origin (scheme, host, port) has to say: its robots.txt and its tdmrep.json, "" where there is none."""

    robots: str
    tdm: str


class Unreadable(Exception):
    """An origin's policy could not be read. `args` is the drop reason for all of its URLs."""


class Rules:
    """A policy, parsed; or the reason why it could not be read, which forbids everything."""

    def __init__(self, policy: Policy | Unreadable):
        self._closed = policy.args[0] if isinstance(policy, Unreadable) else None
        robots, tdm = ("", "") if isinstance(policy, Unreadable) else policy
        self._robots = Protego.parse(robots)
        self._reservations = parse_tdmrep(tdm)

    def refusal(self, url: str) -> str | None:
        """Why a URL must not be fetched, as a drop reason: `robots_disallow`, or why the rules are unknown."""
        return self._closed or (None if self._robots.can_fetch(url, PRODUCT) else "robots_disallow")

    def crawl_delay(self) -> float:
        """Seconds between requests that the site asks for; 0 where it does not."""
        return self._robots.crawl_delay(PRODUCT) or 0.0

    def is_reserved(self, url: str) -> bool:
        """Whether the origin's tdmrep.json reserves a URL. The first rule that matches decides."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return next((reserved for location, reserved in self._reservations if covers(location, path)), False)


def rules_text(response: Response) -> str:
    """The text of a rule file by the final response to it (RFC 9309, 2.3.1); "" where there is none.

    Raises:
        Unreadable: that is unknown.
    """
    if response.reason is None:
        return response.body.decode("utf-8", "replace").lstrip("\ufeff")
    if response.reason == "empty" or (response.status is not None and response.reason[:6] == "http_4"):
        if response.status != 429:
            return ""
    raise Unreadable(response.reason if response.reason in _UNREACHABLE else "robots_unavailable")


def parse_tdmrep(text: str) -> list[tuple[str, bool]]:
    """The rules of a tdmrep.json, in order, as (location, reserved). What is no such file has none."""
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError):
        return []  # many servers answer any address with a page
    if not isinstance(rules, list):
        return []
    return [
        (rule["location"], _is_one(rule.get("tdm-reservation")))
        for rule in rules
        if isinstance(rule, dict) and isinstance(rule.get("location"), str)
    ]


def covers(location: str, path: str) -> bool:
    """Whether a location, a prefix of paths with * for anything and a final $ for the end as in robots.txt, has a path.

    Each piece is taken where it first stands, so that a hostile file cannot make this slower than the file is long.
    """
    ends = location.endswith("$")
    first, *others = location.removesuffix("$").split("*")
    if not others:
        return path == first if ends else path.startswith(first)
    if not path.startswith(first):
        return False
    at = len(first)
    for piece in others[:-1]:
        if (found := path.find(piece, at)) < 0:
            return False
        at = found + len(piece)
    return path[at:].endswith(others[-1]) if ends else others[-1] in path[at:]


def _is_one(value: Any) -> bool:
    return str(value).strip() == "1"


def robots_directives(headers: Iterable[str]) -> set[str]:
    """The directives of `X-Robots-Tag` headers that address everyone or us, lower case, without values."""
    found = set()
    for header in headers:
        addressed = True
        for part in header.lower().split(","):
            name, colon, value = part.partition(":")
            if colon and name.strip() not in _WITH_VALUE:  # "otherbot: noindex, nofollow"
                addressed = name.strip() in (PRODUCT, "*")
                name = value
            if addressed and name.strip():
                found.add(name.strip())
    return found


def reservation(x_robots_tag: Iterable[str], tdm_header: str | None, reserved_by_file: bool) -> str | None:
    """Why a response must not be kept: `reserved_<directive>`, `reserved_tdm`, or None.

    The TDM header of a response overrides the origin's file.
    """
    if opted_out := sorted(robots_directives(x_robots_tag) & OPT_OUTS):
        return f"reserved_{opted_out[0]}"
    reserved = reserved_by_file if tdm_header is None else _is_one(tdm_header)
    return "reserved_tdm" if reserved else None
