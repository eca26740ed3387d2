"""iprev: does the client's address have a name, and does that name lead back to the address? (RFC 8601 section 3)"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from gateway.core.errors import DnsFailure
from gateway.core.ports import AuthEvidence, Resolver
from gateway.core.reports import AuthResult
from gateway.verify.at_once import together
from gateway.verify.evidence import impatient

MAX_NAMES = 10
"""How many of an address's names are asked to lead back: as many as SPF's `ptr` may ask (RFC 7208 section 4.6.4)."""

NAME_CHARACTERS = 253


class IprevCheck:
    """Recorded, and never judged by: an honest client may lack a name, and anybody may have one for a client of theirs."""

    name = "iprev"
    only_asks = True

    async def check(self, evidence: AuthEvidence) -> tuple[AuthResult, ...]:
        """One result with `policy.iprev`; none at all where there is no client address."""
        client = evidence.envelope.client
        address = _address(client.ip) if client else None
        if address is None:
            return ()
        result, detail = await _judge(address, impatient(evidence))
        return (AuthResult("iprev", result, (("policy.iprev", str(address)),), detail),)


@lru_cache(maxsize=1024)
def _address(ip: str) -> IPv4Address | IPv6Address | None:
    """As the reverse zones know it: mapped IPv4 as IPv4, without a zone identifier."""
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


async def _judge(address: IPv4Address | IPv6Address, resolver: Resolver) -> tuple[str, str]:
    """Result and detail, in the words of RFC 8601 section 2.7.3."""
    try:
        names = await resolver.records(address.reverse_pointer, "PTR")
    except DnsFailure:
        return "temperror", "DNS would not say what the client is called"
    if not names:
        return "permerror", "the client's address has no name"
    asked = [str(name) for name in names[:MAX_NAMES]]
    kind = "A" if address.version == 4 else "AAAA"
    found = [await _leads_back(asked[0], kind, address, resolver)]
    if not found[0] and len(asked) > 1:
        found += await together(resolver, *(_leads_back(name, kind, address, resolver) for name in asked[1:]))
    if True in found:
        return "pass", asked[found.index(True)][:NAME_CHARACTERS]
    if None in found:
        return "temperror", "DNS would not say whether the client's name leads back to it"
    return "fail", f"{asked[0][:NAME_CHARACTERS]} does not lead back to the client"


async def _leads_back(name: str, kind: str, address: IPv4Address | IPv6Address, resolver: Resolver) -> bool | None:
    """None where DNS would not say."""
    try:
        return any(_address(str(found)) == address for found in await resolver.records(name, kind))
    except DnsFailure:
        return None


CHECK = IprevCheck()
