"""Check keys and addresses of servers, and hide passwords in messages."""

import os

from mella_hf.errors import MellaError


def read_key(variable: str) -> str | None:
    """The key in an environment variable, or None.

    Raises:
        MellaError: if the key cannot stand in an HTTP header; the key itself is not shown.
    """
    key = os.environ.get(variable, "").strip()
    if not _fits_header(key):
        raise MellaError(
            f"The key in {variable} has a line break or a character that is not ASCII, and cannot be sent; "
            "copy it whole and set it again."
        )
    return key or None


def check_hub_token(source: str = "") -> None:
    """Raise MellaError if the Hub's token cannot stand in an HTTP header; the token itself is not shown.

    Args:
        source: what is to be read; a folder needs no token.
    """
    from huggingface_hub import get_token

    if not os.path.isdir(source) and not _fits_header(get_token() or ""):
        raise MellaError(
            "The token of the Hub has a line break or a character that is not ASCII, and cannot be sent; "
            "set HF_TOKEN again, or log in again with `hf auth login`."
        )


def check_address(url: str) -> None:
    """Raise MellaError if user and password of an address cannot stand in an HTTP header."""
    if has_password(url) and not _fits_header(url):
        raise MellaError(
            f"User or password in the address {without_password(url)!r} have a character that is not ASCII; "
            "write it percent-encoded, such as %C3%A9 for é."
        )


def _fits_header(value: str) -> bool:
    """Whether a value can be sent in a header: printable ASCII."""
    return value.isascii() and value.isprintable()


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
