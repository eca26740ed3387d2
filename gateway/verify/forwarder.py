"""How a message came to us: straight from those it speaks for, or through the server that forwards a mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import DnsFailure
from gateway.core.forwarder import Forwarder
from gateway.core.place import Place
from gateway.core.ports import Resolver
from gateway.core.reports import Path
from gateway.verify.at_once import together
from gateway.verify.known import Recognition
from gateway.verify.rewriting import Rewriting, rewriting_of
from gateway.verify.spf import Identity, evaluate

MAX_EXCHANGERS = 10


@dataclass(frozen=True, slots=True)
class Journey:
    """`certain` is False where DNS trouble hides whether the client is a forwarder; `why` is for people; `forwarder` is
    the known one that brought the message.
    """

    path: Path
    certain: bool
    why: str
    rewriting: Rewriting | None = None
    client_vouched: bool = False
    forwarder: Forwarder | None = None

    @property
    def may_be_forwarded(self) -> bool:
        """A forwarder may have brought this: its SPF, and a failure of DMARC, then say nothing of the author."""
        return self.path in (Path.FORWARDER, Path.PROBABLE)


@dataclass(frozen=True, slots=True)
class MailboxEvidence:
    """Whether the client belongs to a mailbox's domain: `why` names the evidence, empty for none."""

    why: str
    certain: bool


async def mailbox_evidence(envelope: Envelope, place: Place, resolver: Resolver) -> MailboxEvidence:
    """Ask every mailbox domain of this transaction: does its SPF pass for the client, or is it a mail exchanger of it?

    DNS trouble is never a reason to believe it.
    """
    client = envelope.client
    if client is None:
        return MailboxEvidence("", certain=True)
    domains = mailbox_domains(place)
    if len(domains) == 1:
        return await _domain_evidence(domains[0], client, resolver)
    found = await together(resolver, *(_domain_evidence(d, client, resolver) for d in domains))
    why = next((f.why for f in found if f.why), "")
    return MailboxEvidence(why, certain=bool(why) or all(f.certain for f in found))


def mailbox_domains(place: Place) -> list[str]:
    """The domains of the mailboxes addressed, without the gateway's own: nothing forwards from there."""
    found = set()
    for mailbox in place.mailboxes:
        try:
            found.add(normal_domain(mailbox.domain))
        except BadAddress:
            continue
    return sorted(d for d in found if d != place.account_domain and not d.endswith("." + place.account_domain))


async def _domain_evidence(domain: str, client: Client, resolver: Resolver) -> MailboxEvidence:
    identity = Identity("mailfrom", "postmaster", domain, f"postmaster@{domain}")
    spf = await evaluate(identity, client.ip, client.helo, resolver)
    if spf.result == "pass":
        return MailboxEvidence(f"SPF of {domain} passes for the client", certain=True)
    exchanger = await _is_exchanger(domain, client.ip, resolver)
    if exchanger:
        return MailboxEvidence(f"the client is a mail exchanger of {domain}", certain=True)
    return MailboxEvidence("", certain=spf.result != "temperror" and exchanger is not None)


async def _is_exchanger(domain: str, ip: str, resolver: Resolver) -> bool | None:
    """Whether the address is one of the domain's MX hosts; None when DNS would not say."""
    kind = "AAAA" if ":" in ip and not ip.lower().startswith("::ffff:") else "A"
    try:
        exchangers: Sequence[tuple[int, str]] = sorted(await resolver.records(domain, "MX"))
    except DnsFailure:
        return None
    hosts = [host for _, host in exchangers[:MAX_EXCHANGERS]]
    answers = await together(resolver, *(_addresses(host, kind, resolver) for host in hosts))
    wanted = _number(ip)
    if any(wanted in map(_number, found) for found in answers if found is not None):
        return True
    return None if None in answers else False


async def _addresses(host: str, kind: str, resolver: Resolver) -> tuple[str, ...] | None:
    try:
        return await resolver.records(host, kind)
    except DnsFailure:
        return None


@lru_cache(maxsize=1024)
def _number(ip: str) -> int:
    """An address as a number, mapped IPv4 as IPv4 (RFC 4291 section 2.5.5.2); what is none is like no other."""
    try:
        address = ip_address(ip)
    except ValueError:
        return -1
    mapped = getattr(address, "ipv4_mapped", None)
    return int(mapped or address)


def judge(envelope: Envelope, spf: str, mailbox: MailboxEvidence, learnt: Recognition) -> Journey:
    """The path, from the SPF result of the reverse-path, what the mailboxes' domains say of the client, and whether it is a
    forwarder that a challenge taught us: that one is asked first.
    """
    rewriting = rewriting_of(envelope.reverse_path, envelope.recipients)
    if envelope.client is None:
        return Journey(Path.UNKNOWN, certain=True, why="no client address", rewriting=rewriting)
    vouched = bool(mailbox.why)
    if known := learnt.known:
        vouched = vouched or known.vouched
        return Journey(
            Path.FORWARDER,
            certain=True,
            why=known.why,
            rewriting=rewriting,
            client_vouched=vouched,
            forwarder=known.forwarder,
        )
    if vouched:
        return Journey(Path.PROBABLE, certain=True, why=mailbox.why, rewriting=rewriting, client_vouched=True)
    if moved := learnt.moved:
        why = f"the reverse-path is that of {moved.name}, the mailbox's forwarder, and its SPF passes, but the network is new"
        return Journey(Path.PROBABLE, certain=True, why=why, rewriting=rewriting)
    certain = mailbox.certain and learnt.certain
    if rewriting is not None and rewriting.by_forwarder:
        if spf == "pass":
            why = f"the reverse-path is rewritten ({rewriting.form}) and its SPF passes"
            return Journey(Path.PROBABLE, certain=True, why=why, rewriting=rewriting)
        return Journey(Path.UNKNOWN, certain and spf != "temperror", "no forwarder is proven", rewriting)
    if spf == "pass":
        return Journey(Path.DIRECT, certain, "SPF of the reverse-path passes for the client", rewriting)
    return Journey(Path.UNKNOWN, certain, "no forwarder is proven", rewriting)
