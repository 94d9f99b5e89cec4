"""Read robots.txt, and files like it, as RFC 9309 and Google's parser do: the groups that address this project.

Only `allow` and `disallow` end a list of `user-agent` lines. Content-Signal, Content-Usage, Crawl-delay and whatever
else stands between two of them does not, so that these are one group.
"""

import re
from dataclasses import dataclass, field

from mella_hf.know.optouts import PRODUCT

_LINE = re.compile(r"[^\r\n]++")
_TOKEN = re.compile(r"[A-Za-z_-]*")
# The misspellings that Google's parser knows (google/robotstxt, robots.cc).
_NAMES = {
    **dict.fromkeys(("user-agent", "useragent", "user agent"), "user-agent"),
    **dict.fromkeys(("disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"), "disallow"),
    **{name: name for name in ("allow", "crawl-delay", "content-signal", "content-usage", "license")},
}
_MAX_LINE = 16_664  # bytes; as Google's, eight times the longest URL


@dataclass
class Group:
    """What a robots.txt says to one robot.

    Attributes:
        rules: ("allow" or "disallow", path), in order.
        others: (name in lower case, value) of crawl-delay, content-signal and content-usage.
    """

    rules: list[tuple[str, str]] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        """The rules as a robots.txt for everyone."""
        return "User-agent: *\n" + "".join(f"{name}: {path}\n" for name, path in self.rules)

    def values(self, name: str) -> list[str]:
        """The values of the lines of that name."""
        return [value for key, value in self.others if key == name]


def our_group(text: str, product: str = PRODUCT) -> Group:
    """All groups that name this project, as one; where none does, those for everyone."""
    named, everyone = Group(), Group()
    is_named = False
    current = [everyone]  # lines before any user-agent are for all, but for rules, which need one (RFC 9309, 2.2)
    has_agents = False
    in_agents = False
    for name, value in _pairs(text):
        if name == "user-agent":
            has_agents = True
            if not in_agents:
                current, in_agents = [], True
            if value == "*" or value[:2] in ("* ", "*\t"):
                current.append(everyone)
            elif _TOKEN.match(value)[0].lower() == product.lower():  # type: ignore[index]
                current.append(named)
                is_named = True
        elif name in ("allow", "disallow"):
            in_agents = False
            for group in current if has_agents else ():
                group.rules.append((name, value))
        elif name != "license":
            for group in current:
                group.others.append((name, value))
    return named if is_named else everyone


def licences_of(text: str) -> list[str]:
    """The licence files that a robots.txt names (RSL 1.0, 4.4), each once: such a line is for all robots."""
    return list(dict.fromkeys(value for name, value in _pairs(text) if name == "license" and value))


def _pairs(text: str) -> list[tuple[str, str]]:
    found = []
    for line in _LINE.findall(text.removeprefix("\ufeff")):
        content = line[:_MAX_LINE].partition("#")[0].strip()
        name, colon, value = content.partition(":")
        if not colon:  # "disallow /", which Google's parser understands
            name, _, value = content.replace("\t", " ").partition(" ")
        key = _NAMES.get(" ".join(name.lower().split()))
        if key is not None:
            found.append((key, value.strip()))
    return found
