"""How a message came to us: straight from those it speaks for, or through the server that forwards a mailbox."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import DnsFailure
from gateway.core.place import Place
from gateway.core.ports import Resolver
from gateway.core.reports import Path
from gateway.verify.spf import Identity, evaluate

MAX_EXCHANGERS = 10


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A reverse-path that its sender did not write as it stands.

    `form` names the scheme, `by_forwarder` says that only a forwarder writes it (VERP and BATV are also the sender's
    own doing), `original` is the reverse-path it stands for, None where the scheme hides it.
    """

    form: str
    by_forwarder: bool
    original: str | None = None


_SRS0 = re.compile(r"srs0[=+-][^=]+=[^=]+=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE)
_SRS1 = re.compile(r"srs1[=+-][^=]+=[^=]+=[=+-][^=]+=[^=]+=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE)
_MICROSOFT = re.compile(r"[^+]*\+srs=[^=]+=[^=]+=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE)
_BATV = re.compile(r"(?:prvs|btv1)=+(?P<first>[^=/]+)[=/]+(?P<rest>.+)", re.IGNORECASE)
_VERP = re.compile(r"[^=]*[+-][^+=]+=[^=]+\.[^=]+")
_CAF = "+caf_="


def rewriting_of(reverse_path: str | None, recipients: Iterable[str]) -> Rewriting | None:
    """Which known form a reverse-path has, None for an ordinary one. `recipients` are this transaction's."""
    local, _, domain = (reverse_path or "").rpartition("@")
    local = local.strip('"')
    if not local:
        return None
    if _CAF in local.lower():
        user = local[: local.lower().index(_CAF)]
        return Rewriting("gmail-caf", by_forwarder=True, original=f"{user}@{domain}")
    if re.match(r"srs[01][=+-]", local, re.IGNORECASE):
        form = local[:4].lower()
        return Rewriting(form, by_forwarder=True, original=_original((_SRS0 if form == "srs0" else _SRS1).match(local)))
    if "+srs=" in local.lower():
        return Rewriting("microsoft-srs", by_forwarder=True, original=_original(_MICROSOFT.match(local)))
    if batv := _BATV.match(local):
        return Rewriting("batv", by_forwarder=False, original=f"{_batv_local(batv)}@{domain}")
    return _verp(local, recipients)


def _original(match: re.Match[str] | None) -> str | None:
    return f"{match['local']}@{match['domain']}" if match else None


def _batv_local(match: re.Match[str]) -> str:
    """`prvs=<tag>=<local>`; older signers wrote `prvs=<local>/<tag>`. A tag is ten characters or fewer."""
    return match["first"] if "/" in match.group(0) and "=" not in match["rest"] else match["rest"]


def _verp(local: str, recipients: Iterable[str]) -> Rewriting | None:
    """`list+support=acme.example@…`. Newsletters do so for every reader: only our inbound address betrays a forwarder."""
    if not _VERP.fullmatch(local):
        return None
    ours = ("=".join(r.lower().rpartition("@")[::2]) for r in recipients)
    by_forwarder = any(local.lower().endswith((f"+{text}", f"-{text}")) for text in ours)
    return Rewriting("verp", by_forwarder=by_forwarder)


@dataclass(frozen=True, slots=True)
class Journey:
    """`certain` is False where DNS trouble hides whether the client is a probable forwarder; `why` is for people."""

    path: Path
    certain: bool
    why: str
    rewriting: Rewriting | None = None
    client_vouched: bool = False

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
    found = await asyncio.gather(*(_domain_evidence(d, client, resolver) for d in domains))
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
    answers = await asyncio.gather(*(_addresses(host, kind, resolver) for host in hosts))
    wanted = _number(ip)
    if any(wanted in map(_number, found) for found in answers if found is not None):
        return True
    return None if None in answers else False


async def _addresses(host: str, kind: str, resolver: Resolver) -> tuple[str, ...] | None:
    try:
        return await resolver.records(host, kind)
    except DnsFailure:
        return None


def _number(ip: str) -> int:
    """An address as a number, mapped IPv4 as IPv4 (RFC 4291 section 2.5.5.2); what is none is like no other."""
    try:
        address = ip_address(ip)
    except ValueError:
        return -1
    mapped = getattr(address, "ipv4_mapped", None)
    return int(mapped or address)


def judge(envelope: Envelope, spf: str, mailbox: MailboxEvidence) -> Journey:
    """The path, from the SPF result of the reverse-path and what the mailboxes' domains say of the client.

    A forwarder that is known (learnt by a challenge) will be asked first here.
    """
    rewriting = rewriting_of(envelope.reverse_path, envelope.recipients)
    if envelope.client is None:
        return Journey(Path.UNKNOWN, certain=True, why="no client address", rewriting=rewriting)
    if mailbox.why:
        return Journey(Path.PROBABLE, certain=True, why=mailbox.why, rewriting=rewriting, client_vouched=True)
    if rewriting is not None and rewriting.by_forwarder:
        if spf == "pass":
            why = f"the reverse-path is rewritten ({rewriting.form}) and its SPF passes"
            return Journey(Path.PROBABLE, certain=True, why=why, rewriting=rewriting)
        return Journey(Path.UNKNOWN, mailbox.certain and spf != "temperror", "no forwarder is proven", rewriting)
    if spf == "pass":
        return Journey(Path.DIRECT, mailbox.certain, "SPF of the reverse-path passes for the client", rewriting)
    return Journey(Path.UNKNOWN, mailbox.certain, "no forwarder is proven", rewriting)
