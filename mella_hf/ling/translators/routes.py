"""Which translators a run uses: their names as the command line gives them, and the addresses of their servers."""

from collections.abc import Sequence
from dataclasses import dataclass

from mella_hf.errors import MellaError
from mella_hf.keys import without_password
from mella_hf.ling.translators.chat import CHAT
from mella_hf.ling.translators.services import SERVICES


@dataclass(frozen=True)
class Route:
    """One translator of a run.

    Attributes:
        choice: a service, `chat:MODEL`, an entry point, or a checkpoint.
        urls: addresses of its servers; empty where it has a public one or runs here.
    """

    choice: str
    urls: tuple[str, ...] = ()

    @property
    def needs_address(self) -> bool:
        """Whether it works only with the address of a server."""
        service = SERVICES.get(self.choice)
        return is_chat(self.choice) or (service is not None and not service.own_address)

    @property
    def remote(self) -> bool:
        """Whether it is asked over the network."""
        return is_chat(self.choice) or self.choice in SERVICES


def is_chat(choice: str) -> bool:
    """Whether a translator is a chat model: `chat:MODEL`."""
    return choice.partition(":")[0] == CHAT


def is_address(url: str) -> bool:
    """Whether this is the address of a server, not another option of a package's translator."""
    return url.startswith(("http://", "https://"))


def chat_model(choice: str) -> str:
    """The model of `chat:MODEL`."""
    return choice.partition(":")[2]


def find_routes(translators: Sequence[str], urls: Sequence[str]) -> list[Route]:
    """Give each translator its addresses.

    Args:
        translators: their names, at least one.
        urls: `TRANSLATOR=URL` is for that translator, a plain URL for all that need an address and have none of their
            own; where there is only one translator, for that one. What is no URL is for a package's translator.

    Raises:
        MellaError: if a translator is named twice, or an address is for none.
    """
    twice = [name for name in translators if translators.count(name) > 1]
    if twice:
        raise MellaError(f"The translator {twice[0]!r} is given twice; give each one once.")
    own: dict[str, list[str]] = {name: [] for name in translators}
    common = []
    for url in urls:
        owner = next((name for name in translators if url.startswith(f"{name}=")), None)
        if owner is not None:
            own[owner].append(url.removeprefix(f"{owner}="))
        elif is_address(url) or (len(translators) == 1 and not Route(translators[0]).remote):
            common.append(url)
        else:
            raise MellaError(
                f"The address {without_password(url)!r} is for no translator of this run "
                f"({', '.join(translators)}); give http://host:port, or TRANSLATOR=http://host:port."
            )
    routes = [
        Route(name, tuple(own[name] or (common if len(translators) == 1 or Route(name).needs_address else ())))
        for name in translators
    ]
    if common and not any(set(common) & set(route.urls) for route in routes):
        raise MellaError(
            f"No translator takes the address {without_password(common[0])!r}; say whose it is, "
            f"such as --translator-url {translators[0]}={without_password(common[0])}."
        )
    return routes
