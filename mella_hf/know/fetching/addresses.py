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
# Metadata services and link-local addresses: no setting opens these, so that no redirect leads there.
_NEVER = tuple(
    ipaddress.ip_network(block)
    for block in (
        "169.254.0.0/16",
        "fe80::/10",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "100.100.100.200/32",
        "fd00:ec2::/32",
    )
)
# Prefixes whose last 32 bits are an IPv4 address: IPv4-compatible (RFC 4291) and NAT64 (RFC 6052).
_IPV4_COMPATIBLE, _NAT64 = ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96")


class BlockedAddress(OSError):
    """A host has an address outside the public internet, such as one of a private network."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's: not private, loopback, link-local, shared by a carrier,
    multicast, reserved or a cloud's metadata service, also when it is wrapped in an IPv6 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])  # a zone such as %eth0 is not part of the address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:  # the gateway of an IPv6 network writes public IPv4 addresses so
            return is_public(str(_last_32_bits(ip)))
        wrapped = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        wrapped += [_last_32_bits(ip)] if ip in _IPV4_COMPATIBLE else []
        if not all(is_public(str(inner)) for inner in wrapped if inner is not None):
            return False
    blocked = ip.is_multicast or ip.is_reserved or any(ip in network for network in _BLOCKED)
    return ip.is_global and not blocked


def _last_32_bits(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)


class Allowed:
    """Which addresses may be connected to: public ones, and what somebody opened by name.

    Args:
        private: hosts and networks, such as ("files.lan", "10.1.0.0/16"); True opens every private address. Link-local
            addresses and metadata services stay closed in any case.
    """

    def __init__(self, private: bool | tuple[str, ...] = False):
        names = () if isinstance(private, bool) else private
        self._all = private is True
        self._hosts = frozenset(name.lower() for name in names if not _is_network(name))
        self._networks = [ipaddress.ip_network(name, strict=False) for name in names if _is_network(name)]
        self._of_hosts: set[str] = set()  # addresses that the named hosts were found at

    def permits(self, address: str) -> bool:
        """Whether an address may be connected to."""
        plain = address.partition("%")[0]
        ip = ipaddress.ip_address(plain)
        inner = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped else ip
        if any(inner in network for network in _NEVER):
            return False
        opened = self._all or plain in self._of_hosts or any(inner in network for network in self._networks)
        return opened or is_public(address)

    def note(self, host: str, addresses: list[str]) -> None:
        """Open the addresses of a host, if it is a named one."""
        if host.lower().rstrip(".") in self._hosts:
            self._of_hosts.update(address.partition("%")[0] for address in addresses)

    def socket(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket for an address of `getaddrinfo`'s form; the last check before connecting. Raises BlockedAddress."""
        family, kind, protocol, _, where = address
        if not self.permits(where[0]):
            raise BlockedAddress(f"{where[0]} is not a public address")
        return socket.socket(family=family, type=kind, proto=protocol)


def _is_network(name: str) -> bool:
    try:
        ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False
    return True


class PublicResolver(AbstractResolver):
    """Resolves names to addresses that may be connected to; a name with any other address is refused as a whole."""

    def __init__(self, resolver: AbstractResolver | None = None, allowed: Allowed | None = None):
        self._resolver = resolver or ThreadedResolver()
        self._allowed = allowed or Allowed()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises BlockedAddress; OSError when there are none."""
        found = await self._resolver.resolve(host, port, family)
        self._allowed.note(host, [result["host"] for result in found])
        blocked = [result["host"] for result in found if not self._allowed.permits(result["host"])]
        if blocked:
            raise BlockedAddress(f"{host} is at {blocked[0]}, which is not a public address")
        return found

    async def close(self) -> None:
        """Close the resolver inside."""
        await self._resolver.close()


def make_connector(
    *, allow_private: bool | tuple[str, ...], resolver: AbstractResolver | None, limit: int
) -> TCPConnector:
    """Connections to public addresses, and to those of `allow_private`; at most `limit` at a time."""
    allowed = Allowed(allow_private)
    return TCPConnector(
        resolver=PublicResolver(resolver, allowed), socket_factory=allowed.socket, limit=limit, ttl_dns_cache=300
    )
