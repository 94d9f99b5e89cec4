"""Hosts and URLs as they are compared: one spelling for each, whatever case, dots or script they were written in."""

import re
from functools import lru_cache
from urllib.parse import quote, unquote

_HOST = re.compile(r"(?:https?:)?//(?:[^/?#@\s]*@)?(\[[0-9a-f:.]+\]|[^/?#@:\s\\]+)", re.IGNORECASE)
_DEFAULT_PORT = re.compile(r":(?:80|443)?(?=[/?]|$)")
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_SAFE = "/%:@!$&'()*+,;=~-._?"  # what stays in a URL as it is (RFC 3986)
_LONGEST = 253  # characters of a host (RFC 1035)


@lru_cache(maxsize=65536)
def canonical_host(host: str) -> str:
    """A host in lower case and punycode, without a final dot: `Müller.DE.` is `xn--mller-kva.de`."""
    import idna

    name = host.strip().rstrip(".").lower()
    if name.isascii() or len(name) > _LONGEST:
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii").rstrip(".")
    except idna.IDNAError:  # no name that a browser would look up; it is compared as it is written
        return name


@lru_cache(maxsize=65536)
def host_of(url: str | None) -> str | None:
    """The canonical host of an http address, in upper case or with spaces too; None where there is none."""
    found = _HOST.match(url.strip()) if url else None
    return canonical_host(unquote(found[1])) or None if found else None


def is_within(host: str, domain: str) -> bool:
    """Whether a canonical host is a canonical domain or a subdomain of it; `*.x.org` means its subdomains alone."""
    if domain.startswith("*."):
        return host.endswith(domain[1:])
    return host == domain or host.endswith(f".{domain}")


def url_key(url: str) -> str:
    """An address as it is compared: without scheme, default port and fragment, what is unsafe percent-encoded."""
    text = url.strip()
    found = _HOST.match(text)
    if not found:
        return text
    rest = _DEFAULT_PORT.sub("", text[found.end() :].partition("#")[0], count=1)
    path = quote(rest, safe=_SAFE, errors="surrogatepass") or "/"
    return canonical_host(unquote(found[1])) + _ESCAPE.sub(lambda escape: escape[0].upper(), path)
