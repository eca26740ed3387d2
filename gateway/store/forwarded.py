"""Mail that rules send on to people outside: owed with the commit, read when it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, select

from gateway.core.addresses import canonical
from gateway.core.decision import Decision, Facts, Forward, PartDisposition
from gateway.core.errors import UnknownThing
from gateway.core.forwarded import KIND, Forwarded, ForwardedFile
from gateway.core.message import ParsedMessage, Part
from gateway.core.notice import NoticeMailbox
from gateway.core.reports import PartReport
from gateway.parse import as_taken, decode_part, parse, referenced, sanitised
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.facts import load_decision, load_facts
from gateway.store.files import SHOWABLE, Withheld
from gateway.store.filing import Kept
from gateway.store.infection import infection
from gateway.store.notice_reading import inbound_of
from gateway.store.outbox import Claim
from gateway.store.tables import Account, Domain, MailboxRow, MessageRow, Outbox, Ticket
from gateway.store.tables.columns import columns

_o, _t, _m, _b = columns(Outbox), columns(Ticket), columns(MessageRow), columns(MailboxRow)
_a, _d = columns(Account), columns(Domain)

NOT_AS_SCANNED = "it does not read as it did when it was scanned"


def outside(connection: Connection, decision: Decision, facts: Facts) -> tuple[list[str], list[tuple[str, str]]]:
    """The addresses that the decision forwards to, and those that are this gateway's own business after all, with why: an
    address may have become a mailbox since the policy was published.
    """
    wanted = [e.address for e in decision.effects if isinstance(e, Forward)]
    if not wanted:
        return [], []
    own = {canonical(a) for a in facts.place.own_addresses}
    domains = {canonical(a).rpartition("@")[2] for a in wanted}
    home = set(connection.execute(select(_d.domain).where(_d.domain.in_(sorted(domains)))).scalars())
    back = [(a, "its mail comes to this gateway") for a in wanted if canonical(a).rpartition("@")[2] in home]
    back += [(a, "it is an address of this account") for a in wanted if canonical(a) in own]
    kept = {a for a, _ in back}
    return [a for a in wanted if a not in kept], back


def forwarded_to(connection: Connection, account_id: str, message_id: str) -> set[str]:
    """Whom a message was sent on to already."""
    mine = (_o.account_id == account_id, _o.message_id == message_id, _o.kind == KIND)
    return set(connection.execute(select(_o.recipient_key).where(*mine)).scalars())


@dataclass(frozen=True, slots=True)
class _Source:
    """A message as its copies are made from it. `kept` are the files that may go."""

    row: Any
    facts: Facts
    message: ParsedMessage
    html: str | None
    content: bytes
    kept: tuple[tuple[Part, PartReport], ...]
    left_out: tuple[tuple[str, str], ...]


class ForwardedMail:
    """Makes a `Forwarded` of a claim. Copies of one message follow each other, so its content is read and parsed once."""

    def __init__(self, store: Store, blobs: FileBlobs, gateway_domain: str) -> None:
        self._store = store
        self._blobs = blobs
        self._domain = gateway_domain
        self._last: tuple[tuple[str, str], _Source] | None = None

    def of(self, claim: Claim) -> Forwarded:
        """Raises UnknownThing where the message is gone or waits in quarantine, Withheld where a scan meant all of it,
        UnreadableFacts, BlobUnavailable, StoreUnavailable.
        """
        with self._store.read() as connection:
            row = connection.execute(_row(claim)).first()
            if row is None or row.facts is None or row.disposition != Kept.TICKETED.value:
                raise UnknownThing("the ticket or message to be forwarded is gone, or is held back now")
            facts = load_facts(row.facts)
            found = infection(connection, row.account_id, row.trace_id, facts)
        if found and any(not f.where.isdecimal() for f in facts.scan.findings):
            raise Withheld(f"the message is infected: {found}")
        source = self._source(row, facts, found)
        return self._forwarded(row, source)

    def _source(self, row: Any, facts: Facts, infected: str) -> _Source:
        key = (row.account_id, row.message_id)
        if self._last and self._last[0] == key and self._last[1].row.decision == row.decision:
            return self._last[1]
        self._last = None  # before the next one is read: never two large messages at once
        content = row.content
        if content is None:
            content = self._blobs.get(row.account_id, row.message_id, row.sha256)
        message = as_taken(parse(bytes(content)), facts.body)
        html = sanitised(message.html) if message.html else None
        kept, left_out = _files(facts, message, row.decision, infected)
        source = _Source(row, facts, message, html, bytes(content), kept, left_out)
        self._last = (key, source)
        return source

    def _forwarded(self, row: Any, source: _Source) -> Forwarded:
        author = source.facts.message.author
        if author is None:
            raise UnknownThing("the message has no author to whom an answer could go")
        domain = f"{row.account}.{self._domain}"
        return Forwarded(
            outbox_id=row.id,
            language=row.mailbox_language or row.account_language or "en",
            account_id=row.account_id,
            account=row.account,
            account_domain=domain,
            company_name=row.company_name,
            recipient=row.recipient,
            mailbox=NoticeMailbox(row.address, row.mailbox_name, inbound_of(row, domain)),
            ticket_number=row.number,
            author=author,
            subject=source.facts.message.subject,
            received_at=row.received_at.astimezone(_zone(row.timezone)),
            message_id=source.facts.message.message_id,
            text=source.message.text,
            html=source.html,
            files=list(_going(source)),
            left_out=source.left_out,
            created_at=row.created_at,
        )


def _row(claim: Claim) -> Any:
    query = (
        select(
            _o.id, _o.recipient, _o.created_at, _o.message_id, _o.trace_id,
            _a.id.label("account_id"), _a.name.label("account"), _a.company_name, _a.timezone,
            _a.language.label("account_language"), _t.number,
            _b.address, _b.address_key, _b.name.label("mailbox_name"), _b.inbound,
            _b.language.label("mailbox_language"),
            _m.facts, _m.decision, _m.content, _m.sha256, _m.disposition, _m.received_at,
        )
        .select_from(Outbox)
        .join(Account, _a.id == _o.account_id)
        .join(Ticket, (_t.account_id == _o.account_id) & (_t.id == _o.ticket_id))
        .join(MailboxRow, (_b.account_id == _t.account_id) & (_b.id == _t.mailbox_id))
        .join(MessageRow, (_m.account_id == _o.account_id) & (_m.id == _o.message_id))
    )  # fmt: skip
    return query.where(_o.account_id == claim.account_id, _o.id == claim.id)


def _files(
    facts: Facts, message: ParsedMessage, decision: str | None, infected: str
) -> tuple[tuple[tuple[Part, PartReport], ...], tuple[tuple[str, str], ...]]:
    """Those that were kept, and the others by name: `Withheld` of the door for files holds for this one, too."""
    fates = {p["n"]: p["disposition"] for p in load_decision(decision)["parts"]} if decision else {}
    parts = {p.n: p for p in message.parts if p.is_attachment}
    kept: list[tuple[Part, PartReport]] = []
    left_out: list[tuple[str, str]] = []
    for report in facts.scan.parts:
        part = parts.get(report.n)
        if part is None:
            continue
        fate = fates.get(report.n, PartDisposition.HELD.value)
        if infected:
            left_out.append((report.name, "infected"))
        elif fate != PartDisposition.KEPT.value:
            left_out.append((report.name, fate))
        else:
            kept.append((part, report))
    return tuple(kept), tuple(left_out)


def _going(source: _Source) -> Iterator[ForwardedFile]:
    """Images that the HTML shows go with it, everything else is attached."""
    named = referenced(source.html) if source.html else frozenset()
    first: set[str] = set()
    for part, report in source.kept:
        shown = SHOWABLE.get(report.detected_type, "")
        content_id = part.content_id or ""
        in_text = bool(shown) and content_id in named and content_id not in first and _is_plain(content_id)
        first.add(content_id)
        read = partial(_octets, source.content, part, report)
        yield ForwardedFile(report.name, shown or "application/octet-stream", content_id if in_text else "", read)


def _is_plain(content_id: str) -> bool:
    """Fit to stand in a header of ours."""
    return 0 < len(content_id) <= 200 and all("!" <= c <= "~" and c not in "<>" for c in content_id)


def _octets(content: bytes, part: Part, report: PartReport) -> bytes:
    """Raises Withheld."""
    octets = decode_part(content, part)
    if hashlib.sha256(octets).hexdigest() != report.sha256:
        raise Withheld(f"{report.name or 'a file'}: {NOT_AS_SCANNED}")
    return octets


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
