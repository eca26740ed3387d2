"""Whose mail it really is where From is not its author: a web form's machine, or the group a forwarder wrote into it.

Asked between the checks and the memory, so that what is remembered is remembered of the right person. Whoever is taken so
is told by a header field that anybody can write: unverified, never an agent, and no address of the account's own (T32).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.core.addresses import BadAddress, base_local, canonical, parse_addr_spec, quote_local
from gateway.core.decision import Facts, Kind, TicketChoice, Told
from gateway.core.forwarder import Forwarder
from gateway.core.message import Address
from gateway.core.place import Place
from gateway.core.reports import Level, Path, Sender
from gateway.parse.author import named_in
from gateway.parse.automatic import LIST_FIELDS, without_added
from gateway.policy.belonging import Belonging
from gateway.policy.engine import Policy
from gateway.policy.reading import Reading

FIELDS = {
    "x-original-from": "X-Original-From",
    "x-original-sender": "X-Original-Sender",
    "reply-to": "Reply-To",
}
"""Those that may name the author, in the order in which a rewriting forwarder's are asked."""

_DOUBTS = {
    "several-fields": "stands there more than once",
    "malformed-field": "is malformed",
    "bare-cr": "cannot be read: the header has bare CR",
    "syntax": "does not name exactly one address",
}


@dataclass(frozen=True, slots=True)
class Whose:
    """The facts with the author as he is told, and for the trace: `reason` in a sentence, `passed_over` what each field
    that was asked in vain had against it, `not_counted` the header fields that are the forwarder's.
    """

    facts: Facts
    reason: str = ""
    passed_over: tuple[str, ...] = ()
    not_counted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """A field that may name the author, and why it is asked."""

    field: str
    because: str


def is_asked(facts: Facts, policy: Policy) -> bool:
    """Whether there is anything to ask: most accounts have no `author_from`, and most forwarders leave mail as it was."""
    if policy.author_from:
        return True
    if facts.auth.path is not Path.FORWARDER:
        return False
    return facts.message.is_list or any(not f.keeps_author for f in _brought_by(facts))


def whose(facts: Facts, policy: Policy, content: bytes) -> Whose:
    """Whose mail this is. `facts` are those found so far, with nothing remembered yet. Pure. Raises TooComplex."""
    forwarders = _brought_by(facts)
    sources = (*_by_policy(facts, policy), *_by_forwarder(facts, forwarders))
    facts, not_counted = _as_sent(facts, frozenset(name for f in forwarders for name in f.adds))
    if not sources:
        return Whose(facts, not_counted=not_counted)
    if doubt := _why_not_asked(facts):
        return Whose(facts, doubt, not_counted=not_counted)
    passed_over: list[str] = []
    for source in dict.fromkeys(sources):
        address, objection = _named(source.field, content, facts)
        if address is not None:
            return Whose(*_taken(facts, source, address), tuple(passed_over), not_counted)
        passed_over.append(f"{FIELDS[source.field]} {objection}")
    return Whose(facts, "the author stays who is in From", tuple(dict.fromkeys(passed_over)), not_counted)


def _brought_by(facts: Facts) -> tuple[Forwarder, ...]:
    """What was learnt of the forwarder that brought the message: it may serve several of the mailboxes."""
    if facts.auth.path is not Path.FORWARDER:
        return ()
    known = (f for mailbox in facts.place.mailboxes for f in mailbox.forwarders)
    return tuple(f for f in known if f.name == facts.auth.forwarder)


def _as_sent(facts: Facts, added: frozenset[str]) -> tuple[Facts, tuple[str, ...]]:
    """The message as no list where only its forwarder makes it one; and the fields that made it look so."""
    message = without_added(facts.message, added)
    if message is facts.message:
        return facts, ()
    written = {name.lower() for name, _ in message.headers}
    return replace(facts, message=message), tuple(sorted(LIST_FIELDS & written & added))


def _by_policy(facts: Facts, policy: Policy) -> Iterator[_Source]:
    if policy.author_from:
        reading = Reading(facts, Belonging(Kind.NEW, TicketChoice.NEW), policy.patterns)
        yield from (_Source(t.take, t.name) for t in policy.author_from if t.clause.holds(reading))


def _by_forwarder(facts: Facts, forwarders: tuple[Forwarder, ...]) -> Iterator[_Source]:
    """Those of a forwarder that was seen to rewrite, where it wrote this From: groups leave most authors as they are, and
    then X-Original-From is whatever a stranger wrote. It counts only where the forwarder is known to write it.
    """
    author = facts.message.author
    rewriting = [f for f in forwarders if not f.keeps_author]
    if author is None or not any(_may_have_written(f, author, facts.place) for f in rewriting):
        return
    because = f"the forwarder {facts.auth.forwarder} rewrites From"
    added = {name for f in rewriting for name in f.adds}
    # who is proven wrote himself, unless the forwarder says that it put this address in his place
    himself = facts.auth.sender is Sender.VERIFIED and canonical(author.address) not in facts.place.own_addresses
    for field in FIELDS:
        if (field == "x-original-from" or not himself) and (field == "reply-to" or field in added):
            yield _Source(field, because)


def _may_have_written(forwarder: Forwarder, author: Address, place: Place) -> bool:
    """The mailbox itself, or an address of a domain that is the mailbox's, or the forwarder's and not a provider's."""
    if canonical(author.address) in place.own_addresses:
        return True
    domains = {m.domain for m in place.mailboxes}
    if not forwarder.provider:
        domains |= {forwarder.spf_domain, forwarder.dkim_domain, forwarder.reverse_path.rpartition("@")[2]}
    return any(_is_at(author, domain) for domain in domains)


def _why_not_asked(facts: Facts) -> str:
    if facts.message.author is None:
        return "nobody is asked for: From does not name exactly one author"
    if facts.auth.sender is Sender.FORGED:
        return "nobody is asked for: From is forged"
    return ""


def _named(field: str, content: bytes, facts: Facts) -> tuple[Address | None, str]:
    """Whom a field names, or what is to be said against it."""
    found = named_in(content, field)
    if found.address is None:
        return None, _DOUBTS.get(found.doubt, "is not there")
    objection = _why_not_taken(found.address, facts.place)
    return (None, objection) if objection else (found.address, "")


def _why_not_taken(address: Address, place: Place) -> str:
    """Never one of the account's own: an agent by a stranger's word would be no agent, a mailbox would write to itself.

    With or without a `+tag`: what comes there comes to the same person.
    """
    plain = _without_tag(address.address)
    if plain in {_without_tag(a) for a in place.agent_addresses}:
        return "names an agent"
    if plain in {_without_tag(a) for a in place.own_addresses}:
        return "names a mailbox of this account"
    _, _, gateway = place.account_domain.partition(".")
    if _is_at(address, place.account_domain) or _is_at(address, gateway):
        return "names an address of the gateway"
    return ""


def _is_at(address: Address, domain: str) -> bool:
    """At a domain or below it; at none where it is empty."""
    return bool(domain) and (address.domain == domain or address.domain.endswith("." + domain))


def _without_tag(address: str) -> str:
    try:
        spec = parse_addr_spec(canonical(address), lenient=True)
    except BadAddress:
        return canonical(address)
    return f"{quote_local(base_local(spec.local))}@{spec.domain}"


def _taken(facts: Facts, source: _Source, address: Address) -> tuple[Facts, str]:
    """With that author, unproven whatever proves From."""
    written, auth = facts.message.author, facts.auth
    assert written is not None
    if canonical(written.address) == canonical(address.address):
        return facts, f"{FIELDS[source.field]} names who is in From"
    told = Told(FIELDS[source.field], source.because, written, auth.sender, auth.level, auth.by)
    proof = f" by {auth.by}" if auth.by else ""
    reason = f"author as told by {told.field} ({told.because}); From is {written.address}, {auth.sender.value}{proof}"
    auth = replace(auth, sender=Sender.UNVERIFIED, level=Level.NONE, by="", reason=reason)
    return replace(facts, message=replace(facts.message, author=address), auth=auth, told=told), reason
