"""Everything notifications may say, read together: a few statements for many rows, instead of half a dozen for each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.core.decision import Facts
from gateway.core.errors import UnknownThing
from gateway.core.message import Address
from gateway.core.notice import Notice, NoticeKind, NoticeMailbox
from gateway.store.engine import Store
from gateway.store.facts import load_decision, load_facts
from gateway.store.outbox import Claim, among
from gateway.store.tables import Account, Agent, ContactRow, MailboxRow, MessageRow, Outbox, Team, Ticket
from gateway.store.tables.columns import columns

EXCERPT_CHARACTERS = 4000

_o, _t, _m, _b = columns(Outbox), columns(Ticket), columns(MessageRow), columns(MailboxRow)
_a, _g, _team, _c = columns(Account), columns(Agent), columns(Team), columns(ContactRow)

Key = tuple[str, str]
"""An account, and something of it."""


class Notices:
    """What was read for `claims` in one view of the database; `of` makes a notice of it. Raises StoreUnavailable."""

    def __init__(self, store: Store, claims: Sequence[Claim], gateway_domain: str) -> None:
        self._domain = gateway_domain
        self._facts: dict[Key, Facts] = {}
        with store.read() as connection:
            rows = _rows(connection, claims)
            people = {(r.account_id, r.recipient_key) for r in rows}
            self._languages = _contact_languages(connection, people)
            self._agents = _agents(connection, people)
            self._threads = _threads(connection, {(r.account_id, r.ticket_id) for r in rows})
        self._rows = {(r.account_id, r.id): r for r in rows}

    def of(self, claim: Claim) -> Notice:
        """Raises UnknownThing when its ticket or message is gone, UnreadableFacts when a later release wrote them."""
        row = self._rows.get((claim.account_id, claim.id))
        if row is None:
            raise UnknownThing("the ticket or message this notification is about is gone")
        facts = self._facts_of(row)
        agent = self._agents.get((row.account_id, row.recipient_key))
        domain = f"{row.account}.{self._domain}"
        return Notice(
            outbox_id=row.id,
            kind=NoticeKind(row.kind),
            language=self._language(row, agent),
            account_id=row.account_id,
            account=row.account,
            account_domain=domain,
            company_name=row.company_name,
            recipient=Address(row.recipient, row.recipient_name),
            agent_number=agent.number if agent else None,
            mailbox=NoticeMailbox(row.address, row.mailbox_name, inbound_of(row, domain)),
            ticket_id=row.ticket_id,
            ticket_number=row.number,
            ticket_label=f"{row.number_prefix}{row.number}",
            ticket_subject=row.subject,
            ticket_state=row.state,
            ticket_priority=row.priority,
            team=row.team or "",
            assignee=row.assignee or "",
            author=facts.message.author,
            sender=facts.auth.sender.value,
            sender_reason=facts.auth.reason,
            told_by=facts.told.field if facts.told else "",
            told_from=facts.told.written.address if facts.told else "",
            text=facts.message.text_new[:EXCERPT_CHARACTERS],
            attachments=_attachments(row.decision, facts),
            thread=tuple(self._threads.get((row.account_id, row.ticket_id), ())),
            created_at=row.created_at,
            template=row.template,
            notes=_notes(row.decision) if agent else (),
        )

    def _facts_of(self, row: Row[Any]) -> Facts:
        """One message causes several notices."""
        key = (row.account_id, row.message_id)
        if key not in self._facts:
            self._facts[key] = load_facts(row.facts)
        return self._facts[key]

    def _language(self, row: Row[Any], agent: Row[Any] | None) -> str:
        """Contact (or agent), then mailbox, then account, then English."""
        asked = self._languages.get((row.account_id, row.recipient_key)) or (agent and agent.language)
        return str(asked or row.mailbox_language or row.account_language or "en")


def _rows(connection: Connection, claims: Sequence[Claim]) -> Sequence[Any]:
    query = (
        select(
            _o.id, _o.kind, _o.recipient, _o.recipient_name, _o.created_at, _o.recipient_key, _o.message_id, _o.template,
            _a.id.label("account_id"), _a.name.label("account"), _a.company_name, _a.number_prefix,
            _a.language.label("account_language"),
            _t.id.label("ticket_id"), _t.number, _t.subject, _t.state, _t.priority,
            _b.address, _b.name.label("mailbox_name"), _b.inbound, _b.language.label("mailbox_language"),
            _b.address_key,
            _m.facts, _m.decision, _team.name.label("team"), _g.name.label("assignee"),
        )
        .select_from(Outbox)
        .join(Account, _a.id == _o.account_id)
        .join(Ticket, (_t.account_id == _o.account_id) & (_t.id == _o.ticket_id))
        .join(MailboxRow, (_b.account_id == _t.account_id) & (_b.id == _t.mailbox_id))
        .join(MessageRow, (_m.account_id == _o.account_id) & (_m.id == _o.message_id))
        .outerjoin(Team, (_team.account_id == _t.account_id) & (_team.id == _t.team_id))
        .outerjoin(Agent, (_g.account_id == _t.account_id) & (_g.id == _t.assignee_id))
        .where(among(_o.account_id, _o.id, [(c.account_id, c.id) for c in claims]))
    )  # fmt: skip
    return connection.execute(query).all()


def _contact_languages(connection: Connection, people: Collection[Key]) -> dict[Key, str]:
    query = select(_c.account_id, _c.address_key, _c.language).where(among(_c.account_id, _c.address_key, people))
    return {(r.account_id, r.address_key): r.language for r in connection.execute(query) if r.language}


def _agents(connection: Connection, people: Collection[Key]) -> dict[Key, Row[Any]]:
    query = select(_g.account_id, _g.address_key, _g.number, _g.language).where(
        among(_g.account_id, _g.address_key, people), _g.removed_at.is_(None)
    )
    return {(r.account_id, r.address_key): r for r in connection.execute(query)}


def _threads(connection: Connection, tickets: Collection[Key]) -> dict[Key, list[str]]:
    """The Message-IDs of each ticket's mail, inbound and sent, oldest first (RFC 5322 section 3.6.4)."""
    inbound = select(_m.account_id, _m.ticket_id, _m.id, _m.message_id.label("header")).where(
        among(_m.account_id, _m.ticket_id, tickets), _m.internal.is_(False)
    )
    sent = select(_o.account_id, _o.ticket_id, _o.id, _o.message_id_header.label("header")).where(
        among(_o.account_id, _o.ticket_id, tickets)
    )
    found = [*connection.execute(inbound), *connection.execute(sent)]
    threads: dict[Key, list[str]] = {}
    for row in sorted(found, key=lambda r: (r.id, r.header)):
        if row.header:
            threads.setdefault((row.account_id, row.ticket_id), []).append(row.header)
    return threads


def inbound_of(row: Row[Any], account_domain: str) -> str:
    """The local part at the account's domain that mail for this mailbox arrives at."""
    local, _, domain = row.address_key.partition("@")
    return str(row.inbound or (local if domain == account_domain else "support"))


def _notes(decision: str | None) -> tuple[str, ...]:
    """What rules wrote on the ticket about this message: for agents, never for whoever else is told."""
    effects = load_decision(decision)["effects"] if decision else []
    return tuple(e["note"] for e in effects if "note" in e)


def _attachments(decision: str | None, facts: Facts) -> tuple[tuple[str, str], ...]:
    judged = {p["n"]: p for p in load_decision(decision)["parts"]} if decision else {}
    shown = []
    for part in facts.scan.parts:
        fate = judged.get(part.n, {"disposition": "kept", "reason": ""})
        text = fate["disposition"] if not fate["reason"] else f"{fate['disposition']}: {fate['reason']}"
        shown.append((part.name or f"part {part.n}", text))
    return tuple(shown)
