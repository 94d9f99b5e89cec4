"""Read Really Simple Licensing 1.0 (https://rslstandard.org/rsl): does a licence file let everyone train at no charge?

A file names scopes (`<content url>`), each with licences that permit or prohibit uses and may ask for payment. The
standard wants licences to be read conservatively (3.1.1): a prohibition that covers an address holds, whatever a
narrower scope permits; what is permitted and paid for, the narrowest scope says.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from xml.parsers import expat

from mella_hf.know.paths import covers, path_of

MEDIA_TYPE = "application/rsl+xml"
MAX_SCOPES = 1000  # of one file; each address is compared with all of them
# What includes training: the tokens of 3.4.1.1, and those of the drafts before it.
_TRAINING = frozenset({"all", "ai-all", "ai-train", "train-ai", "train-genai"})
_NO_CHARGE = frozenset({"free", "attribution"})  # a dataset's rows name the page and the image that they come from
_NAMESPACE = "rslstandard.org/rsl"
_PLAIN = (_NAMESPACE, "<rsl")  # what a file that cannot be parsed must have to be taken for a licence
_LINK = re.compile(r'<[^<>]*+>((?:[^,"]++|"(?:[^"\\]++|\\.)*+"?+)*+)', re.DOTALL)
_PARAMETER = re.compile(r';\s*+([a-z*]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"|([^\s;,"]++))')


@dataclass
class Licence:
    """One offer.

    Attributes:
        permits, prohibits: uses; `permits` is None where every use is permitted.
        has_conditions: payment, or only for some users or countries.
    """

    permits: set[str] | None = None
    prohibits: set[str] = field(default_factory=set)
    has_conditions: bool = False

    def lets_train(self) -> bool:
        """Whether everyone may train at no charge."""
        is_permitted = self.permits is None or not _TRAINING.isdisjoint(self.permits)
        return is_permitted and not self.has_conditions and _TRAINING.isdisjoint(self.prohibits)


@dataclass
class Scope:
    """The addresses that `url` covers, what `server` must give a token for first, and the licences."""

    url: str
    server: str = ""
    licences: list[Licence] = field(default_factory=list)

    def reach(self, url: str) -> int | None:
        """How near the scope comes to an address, None where it does not cover it."""
        place = self.url
        if "://" in place:
            if urlsplit(place).netloc.lower() != urlsplit(url).netloc.lower():
                return None
            place = "/" + place.split("/", 3)[3] if place.count("/") > 2 else "/"
        if place[:1] not in ("/", "*"):
            place = "/" + place
        return len(place) if covers(place, path_of(url)) else None


def reserves(scopes: list[Scope] | None, url: str) -> bool:
    """Whether an RSL file, as `parse_rsl` reads it, keeps everyone from training on an address at no charge."""
    if scopes is None:
        return True
    reached = [(reach, scope) for scope in scopes if (reach := scope.reach(url)) is not None]
    if not reached:
        return False
    for _, scope in reached:
        if scope.server or any(not _TRAINING.isdisjoint(licence.prohibits) for licence in scope.licences):
            return True
    nearest = max(reach for reach, _ in reached)
    offers = [scope.licences for reach, scope in reached if reach == nearest and scope.licences]
    return not all(any(licence.lets_train() for licence in licences) for licences in offers)


def parse_rsl(text: str) -> list[Scope] | None:
    """The scopes of an RSL file, or of a feed with RSL in it; none of a file of another kind.

    None stands for a licence that cannot be read: damaged, with entities of its own, or with too many scopes.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(text.lstrip().encode("utf-8", "replace"), True)
    except (expat.ExpatError, _Refused):
        return None if any(mark in text[: 64 << 10].lower() for mark in _PLAIN) else []
    return reader.scopes


class _Refused(Exception):
    """The file does what no licence has to."""


class _Reader:
    """Takes what expat finds; keeps no tree, so that nesting costs nothing."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self._text: list[str] | None = None  # of a list of uses
        self._list: tuple[str, str] = ("", "")
        self._root = ""
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.EntityDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise _Refused

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        self._root = self._root or local
        if _NAMESPACE not in space and (space or self._root != "rsl"):
            return
        if local == "content":
            if len(self.scopes) >= MAX_SCOPES:
                raise _Refused
            self.scopes.append(Scope(attributes.get("url", "").strip(), attributes.get("server", "").strip()))
        elif local == "license" and self.scopes:
            self.scopes[-1].licences.append(Licence())
        elif local in ("permits", "prohibits") and self.scopes and self.scopes[-1].licences:
            self._list, self._text = (local, attributes.get("type", "usage").strip().lower()), []
        elif local == "payment" and self.scopes and self.scopes[-1].licences:
            if attributes.get("type", "").strip().lower() not in _NO_CHARGE:
                self.scopes[-1].licences[-1].has_conditions = True

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        if self._text is None or name.rpartition(" ")[2] not in ("permits", "prohibits"):
            return
        uses = set("".join(self._text).lower().replace(",", " ").split())
        (element, kind), self._text = self._list, None
        licence = self.scopes[-1].licences[-1]
        if kind != "usage":
            licence.has_conditions = True
        elif element == "permits":
            licence.permits = (licence.permits or set()) | uses
        else:
            licence.prohibits |= uses


def names_rsl(rel: str | None, media_type: str | None) -> bool:
    """Whether a link with these attributes leads to an RSL licence."""
    return (
        "license" in (rel or "").lower().split() and (media_type or "").partition(";")[0].strip().lower() == MEDIA_TYPE
    )


def links_to_rsl(link_headers: Iterable[str]) -> bool:
    """Whether Link headers (RFC 8288) name an RSL licence."""
    for link in _LINK.findall(", ".join(link_headers)):
        said = {name: quoted or token for name, quoted, token in reversed(_PARAMETER.findall(link.lower()))}
        if names_rsl(said.get("rel"), said.get("type")):
            return True
    return False
