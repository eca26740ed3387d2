"""Whether an address belongs to networks that the operator named."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """`::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2) is the IPv4 address in it; others stay as they are."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def in_networks(ip: str, networks: tuple[str, ...]) -> bool:
    """Is `ip` in one of `networks` (`10.0.0.0/8`, `2001:db8::/32`, or single addresses)? ValueError when not an address."""
    address = unmapped(ip_address(ip))
    return any(address in network for network in _parsed(networks))


@lru_cache(maxsize=16)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(n, strict=False) for n in networks)
