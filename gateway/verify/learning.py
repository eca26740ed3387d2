"""What a challenge that came back teaches of the server that brought it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network

from gateway.core.addresses import BadAddress, canonical, normal_domain
from gateway.core.envelope import Envelope
from gateway.core.forwarder import Challenge, Form, Forwarder, Lesson
from gateway.core.message import ParsedMessage
from gateway.core.networks import unmapped
from gateway.core.reports import AuthReport
from gateway.verify.arc_sets import has_arc, read_sets
from gateway.verify.border import Line, learnt_border, lines_of, return_path
from gateway.verify.dkim_message import Message, read_message
from gateway.verify.dmarc import registrable
from gateway.verify.envelope_form import binding_of, form_of
from gateway.verify.providers import provider_of
from gateway.verify.remarks import Seen, remarks_of
from gateway.verify.tag_list import Unusable

MEANINGFUL = ("list-", "x-original-", "resent-", "x-forwarded-", "x-ms-exchange-")
MEANINGFUL_NAMES = frozenset({"precedence", "x-ld-processed", "x-google-group-id", "mailing-list"})


def learn(
    challenge: Challenge,
    envelope: Envelope,
    message: ParsedMessage,
    auth: AuthReport,
    *,
    forwarder_id: str,
    name: str = "",
    relay_addresses: Collection[str] = (),
    sent_fields: Iterable[str] = (),
    sent_text: str = "",
    hostname: str = "",
    seen_before: int = 0,
) -> Lesson:
    """What `message`, which is the challenge come back, shows of the server it came through, and what people should know.

    `name` is what it will be called; without one it gets its provider's name, or its host's. `relay_addresses` are the IP
    addresses our challenge left us or our relay from, as far as they are known: the Received field that shows one of them
    as its client is the forwarder's border (`border.learnt_border` says what is done without). `sent_fields` are the
    names of header fields the challenge was sent with, `sent_text` its text, `hostname` our own name,
    and `seen_before` how often this challenge had come back already.
    """
    found = _Return(challenge, envelope, message, auth)
    lines = lines_of(found.content.fields)
    border = learnt_border(lines, _relays_elsewhere(relay_addresses, found.address), hostname)
    forwarder = _forwarder(found, lines, border, forwarder_id, name, frozenset(n.lower() for n in sent_fields))
    seen = Seen(
        challenge=challenge,
        message=message,
        auth=auth,
        forwarder=forwarder,
        sent_text=sent_text,
        dkim_kept=found.signature_kept,
        loops=_loops(lines, hostname.lower()),
        seen_before=seen_before,
    )
    return Lesson(forwarder, remarks_of(seen))


def _loops(lines: list[Line], hostname: str) -> bool:
    """Whether a host took the message three times, with others between: twice is a relay that forwards as well. Our own
    name twice: once may be a relay on this very machine.
    """
    named = [line.received.by for line in lines if "." in line.host and "*" not in line.host]
    runs = [host for n, host in enumerate(named) if n == 0 or named[n - 1] != host]
    return any(runs.count(host) >= (2 if host == hostname else 3) for host in runs)


def _relays_elsewhere(addresses: Iterable[str], forwarder: str) -> frozenset[str]:
    """None where the relay is the forwarder itself: the field that shows its own address is then one its filter left, every
    message has it, and as the border it would vouch for each domain whose mail that server may send.
    """
    found = frozenset(str(unmapped(ip_address(address))) for address in addresses)
    return frozenset() if forwarder in found else found


def _forwarder(
    found: _Return, lines: list[Line], border: int | None, identity: str, name: str, sent: frozenset[str]
) -> Forwarder:
    challenge, message = found.challenge, found.message
    form = form_of(found.envelope.reverse_path, found.envelope.recipients, challenge.reverse_path)
    provider = provider_of(found.names(lines))
    above = found.content.fields[: lines[border].at] if border is not None else ()
    return Forwarder(
        id=identity,
        name=name or provider or found.own_name,
        networks=found.networks,
        provider=provider,
        spf_domain=found.spf_domain(form),
        form=form,
        reverse_path=binding_of(
            form, found.envelope.reverse_path, challenge.mailbox, found.envelope.recipients, shared=bool(provider)
        ),
        border=lines[border].host if border is not None else "",
        arc_sealer=found.sealer,
        dkim_domain=found.added_signature,
        adds=found.added_fields(sent),
        keeps_author=message.author is not None and canonical(message.author.address) == canonical(challenge.author),
        keeps_subject=" ".join(message.subject.split()) == " ".join(challenge.subject.split()),
        keeps_message_id=message.message_id == challenge.message_id,
        keeps_body=message.body_digest == challenge.body_digest,
        learnt_at=found.envelope.received_at,
        address=found.address,
        trail=tuple(line.step for line in lines[:border]) if border is not None else (),
        keeps_return_path=(return_path(above) or "").lower() == challenge.reverse_path.lower(),
    )


@dataclass(frozen=True)
class _Return:
    """The challenge as it came back."""

    challenge: Challenge
    envelope: Envelope
    message: ParsedMessage
    auth: AuthReport

    @cached_property
    def content(self) -> Message:
        return read_message(self.envelope.content)

    @property
    def address(self) -> str:
        client = self.envelope.client
        try:
            return str(unmapped(ip_address(client.ip))) if client else ""
        except ValueError:
            return ""

    @property
    def networks(self) -> tuple[str, ...]:
        """Around the client: /24 or /64, the smallest that is one holder's as a rule."""
        if not self.address:
            return ()
        bits = 64 if ":" in self.address else 24
        return (str(ip_network(f"{self.address}/{bits}", strict=False)),)

    @property
    def verified_name(self) -> str:
        """The client's name that leads back to it."""
        return next(
            (r.detail.lower().rstrip(".") for r in self.auth.results if r.method == "iprev" and r.result == "pass"), ""
        )

    @property
    def own_name(self) -> str:
        client = self.envelope.client
        helo = _domain(client.helo) if client else ""
        return self.verified_name or helo or self.address or "forwarder"

    def names(self, lines: list[Line]) -> list[str]:
        """Names that tell a provider's server: what is wrong here makes us stricter, never more trusting."""
        client = self.envelope.client
        tops = [line.received.by for line in lines[:1]]
        return [self.verified_name, _domain(client.helo) if client else "", *tops]

    def spf_domain(self, form: Form) -> str:
        """Whose SPF passes for the client: the rewritten reverse-path's, the mailbox's, or that of the HELO name."""
        passed = [dict(r.properties) for r in self.auth.results if r.method == "spf" and r.result == "pass"]
        froms = (_domain(p["smtp.mailfrom"].rpartition("@")[2]) for p in passed if "smtp.mailfrom" in p)
        rewritten = next(froms, "") if form is not Form.UNCHANGED else ""
        own = _domain(self.challenge.mailbox.rpartition("@")[2]) if self.auth.client_vouched else ""
        helos = (_domain(p["smtp.helo"]) for p in passed if "smtp.helo" in p)
        return rewritten or own or next(helos, "")

    @cached_property
    def sealer(self) -> str:
        """Who sealed last, where the chain holds."""
        if self.auth.result_of("arc") != "pass" or not has_arc(self.content):
            return ""
        try:
            return read_sets(self.content, self.envelope.received_at.timestamp())[-1].seal.domain
        except Unusable:
            return ""

    @property
    def _signers(self) -> list[str]:
        signed = [r for r in self.auth.results if r.method == "dkim" and r.result == "pass"]
        return [dict(r.properties).get("header.d", "") for r in signed]

    @property
    def _author_organization(self) -> str:
        return registrable(_domain(self.challenge.author.rpartition("@")[2]))

    @property
    def signature_kept(self) -> bool:
        """Whether our own signature still holds."""
        return any(registrable(domain) == self._author_organization for domain in self._signers if domain)

    @property
    def added_signature(self) -> str:
        others = (d for d in self._signers if d and registrable(d) != self._author_organization)
        return next(others, "")

    def added_fields(self, sent: frozenset[str]) -> tuple[str, ...]:
        names = {field.name.decode("ascii") for field in self.content.fields if field.name}
        added = {n for n in names if n.startswith(MEANINGFUL) or n in MEANINGFUL_NAMES} - sent
        return tuple(sorted(added))


def _domain(text: str) -> str:
    try:
        name = normal_domain(text)
    except BadAddress:
        return ""
    return "" if name.startswith("[") else name
