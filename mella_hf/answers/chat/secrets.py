"""Keys and addresses of servers, and what of them may stand in a message."""

import os

from mella_hf.errors import MellaError


def read_key(variable: str) -> str | None:
    """The key in an environment variable, or None.

    Raises:
        MellaError: if the key cannot stand in an HTTP header; the key itself is not shown.
    """
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise MellaError(f"The key in {variable} has a line break or a character that is not ASCII; set it again.")
    return key or None


def without_password(url: str) -> str:
    """An address for messages: without the user and the password that it may hold."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def has_password(url: str) -> bool:
    """Whether an address names a user or a password."""
    return "@" in url.partition("://")[2].partition("/")[0]
