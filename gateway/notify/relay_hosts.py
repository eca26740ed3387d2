"""The addresses our relays may be seen under: a forwarder records them in its Received field, and so shows its border."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.core.errors import DnsFailure
from gateway.core.ports import Resolver

SECONDS = 3.0


async def relay_addresses(urls: Iterable[str], resolver: Resolver) -> frozenset[str]:
    """Of the hosts in `relay.url`; what DNS does not say in time is left out.

    Loopback too: filters on a forwarder's own machine record that, and would pass for its border.
    """
    hosts = {host for url in urls if (host := _host(url))}
    try:
        async with asyncio.timeout(SECONDS):
            found = await asyncio.gather(*(_addresses(host, resolver) for host in sorted(hosts)))
    except TimeoutError:
        return frozenset()
    return frozenset(a for addresses in found for a in addresses if not ip_address(a).is_loopback)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def _addresses(host: str, resolver: Resolver) -> list[str]:
    if _is_address(host):
        return [host]
    try:
        answers = await asyncio.gather(resolver.records(host, "A"), resolver.records(host, "AAAA"))
    except DnsFailure:
        return []
    return [str(one) for answer in answers for one in answer]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
