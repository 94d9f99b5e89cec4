"""Connect to public addresses only; refuse others with BlockedAddress.

Links on a web page are written by strangers: they can name this machine, its network, or a cloud's metadata service.
Names are resolved here, all their addresses are checked, and each socket is checked again before it connects. So a name
that changes its address between check and connection is refused too.
"""

import ipaddress
import socket
from typing import Any

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

# What `is_global` takes for public and is not: Azure's WireServer (https://learn.microsoft.com/azure/virtual-network/
# what-is-ip-address-168-63-129-16), IETF protocol assignments with Oracle's metadata service in them (RFC 6890), and
# site-local addresses (RFC 3879).
_BLOCKED = tuple(ipaddress.ip_network(block) for block in ("168.63.129.16/32", "192.0.0.0/24", "fec0::/10"))
# Prefixes whose last 32 bits are an IPv4 address: IPv4-compatible (RFC 4291) and NAT64 (RFC 6052).
_EMBEDS_IPV4 = (ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96"))


class BlockedAddress(OSError):
    """A host has an address that is none of the public web."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's: not private, loopback, link-local, shared by a carrier,
    multicast, reserved or a cloud's metadata service, also when it is wrapped in an IPv6 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])  # a zone such as %eth0 is no part of the address
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        wrapped += [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) for network in _EMBEDS_IPV4 if ip in network]
        if not all(is_public(str(inner)) for inner in wrapped if inner is not None):
            return False
    blocked = ip.is_multicast or ip.is_reserved or any(ip in network for network in _BLOCKED)
    return ip.is_global and not blocked


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses; a name with any other address is refused as a whole."""

    def __init__(self, resolver: AbstractResolver | None = None):
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises BlockedAddress; OSError when there are none."""
        found = await self._resolver.resolve(host, port, family)
        if blocked := [result["host"] for result in found if not is_public(result["host"])]:
            raise BlockedAddress(f"{host} is at {blocked[0]}, which is not a public address")
        return found

    async def close(self) -> None:
        """Close the resolver inside."""
        await self._resolver.close()


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address of `getaddrinfo`'s form; the last check before connecting. Raises BlockedAddress."""
    family, kind, protocol, _, where = address
    if not is_public(where[0]):
        raise BlockedAddress(f"{where[0]} is not a public address")
    return socket.socket(family=family, type=kind, proto=protocol)


def make_connector(*, allow_private: bool, resolver: AbstractResolver | None, limit: int) -> TCPConnector:
    """Connections to public addresses only, unless `allow_private`; at most `limit` at a time."""
    options: dict[str, Any] = {"limit": limit, "ttl_dns_cache": 300}
    if allow_private:
        return TCPConnector(resolver=resolver, **options)
    return TCPConnector(resolver=PublicResolver(resolver), socket_factory=public_socket, **options)
