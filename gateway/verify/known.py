"""Is the client the forwarder that a challenge taught us?

Where the network is the company's own, the client's address settles it: a TCP connection cannot be made from an address one
does not hold. Its neighbours in the same /24 are strangers as a rule, so they count only where the learnt SPF domain vouches for
them. HELO never counts. A provider's network tells only the provider: there the reverse-path has to be of the learnt form,
bound to this mailbox, and its SPF has to pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from gateway.core.envelope import Client, Envelope
from gateway.core.forwarder import Forwarder
from gateway.core.networks import in_networks, unmapped
from gateway.core.place import Place
from gateway.core.ports import Resolver
from gateway.verify.envelope_form import is_bound
from gateway.verify.providers import spf_name_of
from gateway.verify.spf import Identity, evaluate


@dataclass(frozen=True, slots=True)
class Known:
    """The forwarder that brought the message, and by what it is known. `vouched`: the client's address told it."""

    forwarder: Forwarder
    why: str
    vouched: bool


@dataclass(frozen=True, slots=True)
class Recognition:
    """`known` is who brought the message; `moved` a forwarder whose bound reverse-path passes SPF from a network it was never
    met in; `certain` is False where DNS trouble hides either.
    """

    known: Known | None = None
    moved: Forwarder | None = None
    certain: bool = True


NOBODY = Recognition()


def forwarders_of(place: Place) -> tuple[Forwarder, ...]:
    """All that were learnt for the mailboxes of this transaction."""
    mailboxes = place.mailboxes
    if len(mailboxes) == 1:
        return mailboxes[0].forwarders
    return tuple(forwarder for mailbox in mailboxes for forwarder in mailbox.forwarders)


async def recognise(envelope: Envelope, place: Place, spf: str, resolver: Resolver) -> Recognition:
    """Which learnt forwarder this client is. `spf` is the result for the reverse-path.

    DNS trouble is never a reason to know it.
    """
    client = envelope.client
    forwarders = forwarders_of(place)
    if client is None or not forwarders or not _is_address(client.ip):
        return NOBODY
    certain, moved = True, None
    for forwarder in forwarders:
        bound = spf == "pass" and is_bound(forwarder, envelope.reverse_path, envelope.recipients)
        found = await _why(forwarder, client, resolver, bound=bound)
        if found:
            return Recognition(Known(forwarder, found, vouched=not forwarder.provider))
        certain = certain and found is not None
        if bound and found is not None and not in_networks(client.ip, forwarder.networks):
            moved = moved or forwarder
    return Recognition(moved=moved, certain=certain)


async def _why(forwarder: Forwarder, client: Client, resolver: Resolver, *, bound: bool) -> str | None:
    """Why the client is this forwarder, empty when it is not, None when DNS would not say."""
    if forwarder.provider:
        return await _by_provider(forwarder, client, resolver) if bound else ""
    return await _by_network(forwarder, client, resolver)


def _is_address(ip: str) -> bool:
    try:
        ip_address(ip)
    except ValueError:
        return False
    return True


async def _by_network(forwarder: Forwarder, client: Client, resolver: Resolver) -> str | None:
    if not in_networks(client.ip, forwarder.networks):
        return ""
    # a forwarder that somebody entered by its networks alone has no address of its own
    if forwarder.address in ("", str(unmapped(ip_address(client.ip)))):
        return f"the client is the mailbox's forwarder {forwarder.name}"
    permitted = await _permits(forwarder.spf_domain, client, resolver)
    why = f"the client is in the network of the mailbox's forwarder {forwarder.name}, by SPF of {forwarder.spf_domain}"
    return permitted and why


async def _by_provider(forwarder: Forwarder, client: Client, resolver: Resolver) -> str | None:
    """A provider's servers are many more than the one network we met: its own SPF record lists them."""
    why = f"{forwarder.provider} forwarded this mailbox: SPF passes for the reverse-path that names it"
    if in_networks(client.ip, forwarder.networks):
        return why
    permitted = await _permits(spf_name_of(forwarder.provider), client, resolver)
    return permitted and why


async def _permits(domain: str, client: Client, resolver: Resolver) -> str | None:
    """Whether a domain's SPF passes for the client: its name, empty for no, None where DNS would not say."""
    if not domain:
        return ""
    identity = Identity("mailfrom", "postmaster", domain, f"postmaster@{domain}")
    result = (await evaluate(identity, client.ip, client.helo, resolver)).result
    return {"pass": domain, "temperror": None}.get(result, "")
