"""Settings of a crawl: user agent, speed, patience and size limits."""

from dataclasses import asdict, dataclass, field

from mella_hf.errors import MellaError
from mella_hf.images.opening import FORMATS
from mella_hf.know.fetching.download import Limits
from mella_hf.know.optouts import PRODUCT

IMAGE_KINDS = tuple(name.lower() for name in FORMATS)  # as `sniff` names them
PAGE_KINDS = ("html",)


@dataclass(frozen=True)
class FetchSettings:
    """How to behave on the web.

    Attributes:
        contact: an e-mail address or URL of whoever runs this; part of the user agent.
        kinds: what bodies must be, as `sniff` names it.
        concurrency: requests under way at a time in one process.
        per_host: requests under way to one host at a time.
        delay: seconds between the starts of two requests to one host; a site's Crawl-delay makes it longer.
        max_delay: a host that asks for a longer Crawl-delay or Retry-After, in seconds, is left for another day.
        attempts: requests of one URL before it is given up in this pass.
        backoff: seconds before the second request, at most; doubled for each further one, drawn at random below that
            ("full jitter"), as https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ advises.
        max_backoff: most of these seconds.
        host_failures: retryable failures in a row after which a host is given up in this pass.
        passes: how often to go over the URLs; after the first time over those that may work later.
        max_redirects: hops of one URL.
        honour_reservations: drop what has an opt-out (docs/opt_outs.md); otherwise it is kept and counted.
        ignored_opt_outs: names of single opt-outs (`optouts.SIGNALS`) that are only counted.
        allow_private: hosts and networks that may be private, such as ("files.lan", "10.1.0.0/16"); True for all.
            Link-local addresses and metadata services of clouds are never connected to.
        refresh_before: seconds since the epoch; bodies fetched before are asked for again, with their ETag.
    """

    contact: str
    kinds: tuple[str, ...] = IMAGE_KINDS
    concurrency: int = 128
    per_host: int = 2
    delay: float = 0.5
    max_delay: float = 60.0
    attempts: int = 3
    backoff: float = 1.0
    max_backoff: float = 30.0
    host_failures: int = 20
    passes: int = 2
    max_redirects: int = 5
    honour_reservations: bool = True
    ignored_opt_outs: tuple[str, ...] = ()
    allow_private: bool | tuple[str, ...] = False
    refresh_before: float = 0.0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if "@" not in self.contact and not self.contact.startswith(("http://", "https://")):
            raise MellaError(
                f"The contact {self.contact!r} is neither an e-mail address nor a URL. Site owners must be able to "
                "reach whoever fetches; give yours."
            )
        if not self.contact.isascii() or not self.contact.isprintable():
            raise MellaError(
                f"The contact {self.contact!r} has characters that an HTTP header cannot carry; give one of printable "
                "ASCII, such as an e-mail address."
            )
        for name in ("concurrency", "per_host", "attempts", "host_failures", "passes"):
            if getattr(self, name) < 1:
                raise MellaError(f"FetchSettings.{name} is {getattr(self, name)}; it must be at least 1.")

    def ignores(self, signal: str) -> bool:
        """Whether an opt-out is only counted."""
        return not self.honour_reservations or signal in self.ignored_opt_outs

    @property
    def user_agent(self) -> str:
        """Names the project and the contact."""
        from mella_hf.version import __version__

        return f"{PRODUCT}/{__version__} (+{self.contact})"

    def deciding(self) -> dict[str, object]:
        """The settings on which a result depends."""
        names = ("kinds", "max_redirects", "honour_reservations", "ignored_opt_outs", "allow_private")
        every = asdict(self)
        return {name: every[name] for name in names} | {"max_bytes": self.limits.max_bytes}
