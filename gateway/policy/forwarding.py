"""Whom a rule may forward mail to: what leaves here leaves in the company's name, and must not come back or help a liar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.core.addresses import BadAddress, base_local, canonical, parse_addr_spec, quote_local
from gateway.core.decision import Disposition, Hit
from gateway.core.place import Place
from gateway.core.reports import Sender
from gateway.policy.reading import Reading

MOST = 10
"""Addresses that one message goes on to, all rules together."""
LABEL = "forward: "

_KEPT_AS = {
    Disposition.IGNORE: "ignored",
    Disposition.QUARANTINE: "quarantined",
    Disposition.REJECT: "refused",
    Disposition.DEFER: "deferred",
}


def why_not(address: str, reading: Reading) -> str:
    """Why this message does not go on to `address`; empty where it may."""
    facts = reading.facts
    if facts.auth.sender is not Sender.VERIFIED:
        return f"the author is {facts.auth.sender.value}: only verified mail is forwarded"
    if reading.belonging.from_agent:
        return "it is an agent's own, and stays inside"
    author = facts.message.author
    if author and _same(address, author.address):
        return "it is the author's own address"
    return at_home(address, facts.place)


def at_home(address: str, place: Place) -> str:
    """Why an address is the gateway's own business: what goes there comes back here (RFC 5321 section 6.3)."""
    if any(_same(address, own) for own in place.own_addresses):
        return "it is an address of this account"
    domain = address.rpartition("@")[2].lower()
    gateway = place.account_domain.partition(".")[2]
    if any(home and (domain == home or domain.endswith(f".{home}")) for home in (place.account_domain, gateway)):
        return "its mail comes to this gateway"
    return ""


def not_forwarded(hits: Iterable[Hit], disposition: Disposition) -> tuple[Hit, ...]:
    """The hits of a message that is not accepted: what they would have forwarded stays here, and they say so."""
    return tuple(_kept_back(hit, f"the message is {_KEPT_AS[disposition]}") for hit in hits)


def _kept_back(hit: Hit, why: str) -> Hit:
    forwarded = [e for e in hit.effects if e.startswith(LABEL)]
    if not forwarded:
        return hit
    rest = tuple(e for e in hit.effects if e not in forwarded)
    return replace(hit, effects=rest, withheld=(*hit.withheld, *((e, why) for e in forwarded)))


def _same(one: str, other: str) -> bool:
    """With or without a `+tag`: what comes there comes to the same person."""
    return _without_tag(one) == _without_tag(other)


def _without_tag(address: str) -> str:
    try:
        spec = parse_addr_spec(canonical(address), lenient=True)
    except BadAddress:
        return canonical(address)
    return f"{quote_local(base_local(spec.local))}@{spec.domain}"
