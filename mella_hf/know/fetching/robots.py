"""Decide from a site's rules and a response's headers whether a URL may be fetched and kept.

robots.txt as in RFC 9309, with the lines Content-Signal and Content-Usage; tdmrep.json of the TDM Reservation Protocol
(https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/); Spawning's ai.txt; the RSL licences that
robots.txt names; and the headers that say the same of one response. If a site's rules cannot be read, nothing is
fetched from it.
"""

import codecs
import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from multidict import CIMultiDictProxy

from mella_hf.errors import MissingExtraError
from mella_hf.know.fetching.download import Response
from mella_hf.know.fetching.robots_txt import Group, our_group
from mella_hf.know.optouts import PRODUCT, RSL, TDM, is_reserved, opt_outs, robots_directives, usage_opt_outs
from mella_hf.know.paths import covers, path_of
from mella_hf.know.rsl import links_to_rsl, parse_rsl, reserves

try:
    from protego import Protego
except ImportError as error:
    raise MissingExtraError("protego", "collect", "Reading robots.txt") from error

MAX_ROBOTS_BYTES = 500 << 10  # RFC 9309, 2.5: a crawler must parse at least 500 KiB; the rest is left
MAX_ROBOTS_REDIRECTS = 5  # RFC 9309, 2.3.1.2: follow five at least; after more there is no such file
MAX_LICENCES = 8  # that one robots.txt may name
MAX_AGE = 24 * 3600.0  # seconds; RFC 9309, 2.4: not to be used longer than a day
_RESERVATION = re.compile(r"""tdm-reservation["']?+\s*+:\s*+["']?+1\b""", re.IGNORECASE)
# Why a site cannot be reached at all; every other failure to read its rules is "robots_unavailable".
_UNREACHABLE = frozenset({"blocked_address", "dns_error", "connect_error", "timeout_connect", "tls_error", "bad_url"})


class Policy(NamedTuple):
    """What one origin (scheme, host, port) says: its robots.txt, tdmrep.json and ai.txt, "" where there is none.

    `licences` are the files that robots.txt names as its licences, as a JSON list.
    """

    robots: str
    tdm: str
    ai: str = ""
    licences: str = "[]"


class Unreadable(Exception):
    """An origin's policy could not be read. `args` is the drop reason for all of its URLs."""


class Rules:
    """A policy, parsed; or the reason why it could not be read, which forbids everything."""

    def __init__(self, policy: Policy | Unreadable):
        self.closed: str | None = policy.args[0] if isinstance(policy, Unreadable) else None  # why it is unreadable
        robots, tdm, ai, licences = Policy("", "") if isinstance(policy, Unreadable) else policy
        self._group = our_group(robots)
        self._robots = Protego.parse(self._group.text())
        if "user-agent" not in ai.lower():
            ai = f"User-agent: *\n{ai}"  # rules for nobody in particular are for everyone
        self._ai = Protego.parse(_rooted(our_group(ai)).text())
        self._reservations = parse_tdmrep(tdm)
        self._licences = [parse_rsl(licence) for licence in json.loads(licences)]

    def refusal(self, url: str) -> str | None:
        """Why a URL must not be fetched, as a drop reason: `robots_disallow`, or why the rules are unknown."""
        return self.closed or (None if self._robots.can_fetch(url, PRODUCT) else "robots_disallow")

    def crawl_delay(self) -> float:
        """Seconds between requests that the site asks for; 0 where it does not."""
        delays = [float(value) for value in self._group.values("crawl-delay") if _is_number(value)]
        return max(delays, default=0.0)

    def is_reserved(self, url: str) -> bool:
        """Whether the origin's tdmrep.json reserves a URL. The first rule that matches decides."""
        path = path_of(url)
        return next((reserved for location, reserved in self._reservations if covers(location, path)), False)

    def opt_outs(self, url: str) -> list[str]:
        """The opt-outs that apply to a URL: those of robots.txt and its licences, of tdmrep.json and of ai.txt."""
        path = path_of(url)
        found = usage_opt_outs(self._said("content-usage", path), self._said("content-signal", path))
        if self.is_reserved(url):
            found.append(TDM)
        if any(reserves(licence, url) for licence in self._licences):
            found.append(RSL)
        # An ai.txt names kinds of files: "*.jpg" means a.JPG, too.
        may_use = self._ai.can_fetch(url, PRODUCT) and self._ai.can_fetch(url.lower(), PRODUCT)
        return found if may_use else [*found, "ai_txt"]

    def _said(self, name: str, path: str) -> list[str]:
        """The values that the lines of that name give to a path: those with the longest prefix, one or several."""
        lines = [_usage_line(line) for line in self._group.values(name) if line]
        fitting = [(len(prefix), usage) for prefix, usage in lines if covers(prefix, path)]
        nearest = max(length for length, _ in fitting) if fitting else 0
        return [usage for length, usage in fitting if length == nearest]


def response_opt_outs(headers: CIMultiDictProxy[str], tags: Iterable[str], of_site: Iterable[str]) -> list[str]:
    """All signals that hold for a response: of its headers, and those of its site. Its TDM header overrides the file.

    Args:
        tags: the values of X-Robots-Tag.
        of_site: as `Rules.opt_outs` gives them.
    """
    found = opt_outs(robots_directives(tags))
    found += usage_opt_outs(headers.getall("Content-Usage", ()), headers.getall("Content-Signal", ()))
    found += [RSL] if links_to_rsl(headers.getall("Link", ())) else []
    said = headers.getall("TDM-Reservation", ())
    reserved = is_reserved(", ".join(said)) if said else None
    found += [signal for signal in of_site if signal != TDM or reserved is None]
    return list(dict.fromkeys(found + ([TDM] if reserved else [])))


def _usage_line(line: str) -> tuple[str, str]:
    """(path, preferences) of a line of robots.txt: "/photos train-ai=n", or "train-ai=n" for everything."""
    path, *usage = line.split(maxsplit=1)
    return (path, "".join(usage)) if path.startswith("/") else ("/", line)


def _rooted(group: Group) -> Group:
    """The rules of an ai.txt, which names kinds of files by "*.jpg", as those of a robots.txt."""
    return Group([(name, path if path[:1] in ("", "/") else "/" + path) for name, path in group.rules])


def _is_number(value: str) -> bool:
    return re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value, re.ASCII) is not None


def rules_text(response: Response) -> str:
    """The text of a rule file by the final response to it (RFC 9309, 2.3.1); "" where there is none.

    Raises:
        Unreadable: that is unknown.
    """
    if response.status is not None and response.status // 100 == 2 and response.reason == f"http_{response.status}":
        return ""  # 204 and the like: a success without a text
    if response.reason is None:
        return _decoded(response.body)
    if response.reason == "empty" or (response.status is not None and response.reason[:6] == "http_4"):
        if response.status != 429:
            return ""
    raise Unreadable(response.reason if response.reason in _UNREACHABLE else "robots_unavailable")


def _decoded(body: bytes) -> str:
    """The text of a rule file: UTF-8, or UTF-16 where its mark says so; null bytes are not part of it."""
    mark = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
    return body.decode(mark.get(body[:2], "utf-8"), "replace").replace("\0", "").lstrip("\ufeff")


def parse_tdmrep(text: str) -> list[tuple[str, bool]]:
    """The rules of a tdmrep.json, in order, as (location, reserved). Any other file has no rules.

    One that is not JSON, by a comma too much, reserves everything if it reserves anything.
    """
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError):  # many servers answer any address with a page
        return [("/", True)] if _RESERVATION.search(text) else []
    if isinstance(rules, dict):
        rules = [rules]  # one rule without its list
    if not isinstance(rules, list):
        return []
    found = []
    for rule in rules:
        if isinstance(rule, dict):
            said = {str(name).lower(): value for name, value in rule.items()}
            places = said.get("location")
            for place in places if isinstance(places, list) else [places]:
                if isinstance(place, str):
                    found.append((_location(place), _is_one(said.get("tdm-reservation"))))
    return found


def _location(place: str) -> str:
    """The path of a location. Some files give a whole address, or a path without its first slash."""
    place = place.strip()
    if place.lower().startswith(("http://", "https://")):
        place = "/" + place.split("/", 3)[3] if place.count("/") > 2 else "/"
    return place if place[:1] in ("/", "*", "") else "/" + place


def _is_one(value: Any) -> bool:
    return value == 1 or str(value).strip() == "1"  # JSON's true equals 1
