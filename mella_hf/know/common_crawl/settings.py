"""Settings of a selection from Common Crawl: which crawls and pages, and how to behave towards its servers."""

import re
from dataclasses import dataclass

from mella_hf.errors import MellaError
from mella_hf.know.filter import declared_language
from mella_hf.languages.sources import canonical_code

BASE = "https://data.commoncrawl.org/"
_CRAWL = re.compile(r"CC-MAIN-\d{4}-\d{2}")
_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*+")


@dataclass(frozen=True)
class CrawlSettings:
    """Which pages of Common Crawl to take, and how fast.

    Attributes:
        crawls: names such as "CC-MAIN-2026-43".
        languages: codes; a page is taken where the index names one of them among its (up to three) languages.
        user_agent: names the project and a contact.
        sites: hosts, with all below them; empty for every host.
        tlds: last labels of host names, such as ("ke", "tz"); empty for all.
        pages_per_site: most pages of one host, over all crawls; 0 for all.
        base: where "crawl-data/..." and "cc-index/..." lie.
        rate: requests a second, of all processes of a collection together. Common Crawl's servers take a few thousand a
            second from everybody (https://status.commoncrawl.org).
        attempts: requests for one range before it is given up.
        backoff: seconds before the second request; doubled for each further one, 60 at most.
        timeout: seconds without a byte after which a request has failed.
    """

    crawls: tuple[str, ...]
    languages: tuple[str, ...]
    user_agent: str
    sites: tuple[str, ...] = ()
    tlds: tuple[str, ...] = ()
    pages_per_site: int = 0
    base: str = BASE
    rate: float = 20.0
    attempts: int = 8
    backoff: float = 1.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for crawl in self.crawls:
            if not _CRAWL.fullmatch(crawl):
                raise MellaError(
                    f"{crawl!r} is not a crawl of Common Crawl; names look like CC-MAIN-2026-43. "
                    "https://commoncrawl.org/overview lists them."
                )
        for option, names in (("site", self.sites), ("top-level domain", self.tlds)):
            wrong = [name for name in names if not _NAME.fullmatch(name)]
            if wrong:
                raise MellaError(f"The {option} {wrong[0]!r} is not a host name; give it as 'example.org' or 'ke'.")
        if self.rate <= 0:
            raise MellaError(f"The rate is {self.rate:g} requests a second; it must be above 0.")
        if not self.base.startswith(("http://", "https://")):
            raise MellaError(
                f"The address of the crawl's files {self.base!r} does not begin with http:// or https://; add it."
            )

    def selecting(self) -> dict[str, object]:
        """The settings on which the selection depends."""
        return {"languages": self.languages, "sites": self.sites, "tlds": self.tlds, "base": self.base}

    def wants_label(self, label: str | None) -> bool:
        """Whether a page with these ISO 639-3 codes, joined by commas, is in one of the languages."""
        return any(language_of(code) in self.languages for code in (label or "").split(","))

    def wants_host(self, host: str) -> bool:
        """Whether pages of a host are asked for."""
        by_site = not self.sites or any(host == site or host.endswith(f".{site}") for site in self.sites)
        return by_site and (not self.tlds or host.rpartition(".")[2] in self.tlds)

    def may_hold(self, first: str | None, last: str | None) -> bool:
        """Whether wanted hosts can be among rows whose top-level domains go from `first` to `last` in the alphabet."""
        if first is None or last is None or not (self.sites or self.tlds):
            return True
        wanted = set(self.tlds) or {site.rpartition(".")[2] for site in self.sites}
        return any(first <= tld <= last for tld in wanted)


def language_of(label: str) -> str | None:
    """Our code of a language that the index names by ISO 639-3, such as "sw" for "swa"; None for an empty label."""
    return declared_language(canonical_code(label), "") if label else None
