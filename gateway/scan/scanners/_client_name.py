"""The name of a client's address, where that name leads back to it: what mail servers tell a filter as its host name."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from gateway.core.errors import DnsFailure
from gateway.core.ports import Resolver

NAMES_ASKED = 3


async def confirmed(ip: str, resolver: Resolver) -> str:
    """Empty where it has none, or DNS would not say."""
    try:
        address = ip_address(ip.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        names = await resolver.records(address.reverse_pointer, "PTR")
        kind = "A" if address.version == 4 else "AAAA"
        for name in map(str, names[:NAMES_ASKED]):
            if address in {ip_address(str(found)) for found in await resolver.records(name, kind)}:
                return name
    except (DnsFailure, ValueError):  # ValueError: the client came over no network
        return ""
    return ""
