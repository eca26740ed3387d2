"""The mail we owe: claimed under leases, rendered once, every attempt on record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from gateway.core.clock import new_id
from gateway.core.decision import Facts
from gateway.core.errors import UnknownThing
from gateway.core.message import Address
from gateway.core.notice import Delivery, Notice, NoticeKind, NoticeMailbox, Rendered
from gateway.core.trace import Step
from gateway.store.engine import Store
from gateway.store.facts import load_decision, load_facts
from gateway.store.group import event_row
from gateway.store.recall import thread_of
from gateway.store.secret import Secret
from gateway.store.tables import Account, Agent, ContactRow, Event, MailboxRow, MessageRow, Outbox, Team, Ticket
from gateway.store.tables.columns import columns

LEASE = timedelta(minutes=5)
"""How long a claim holds: longer than any attempt may take."""

FURTHEST = timedelta(hours=2)
"""Longer than any attempt is put off."""

EXCERPT_CHARACTERS = 4000

_o, _t, _m, _b = columns(Outbox), columns(Ticket), columns(MessageRow), columns(MailboxRow)
_a, _g, _team, _c = columns(Account), columns(Agent), columns(Team), columns(ContactRow)
_e = columns(Event)


@dataclass(frozen=True, slots=True)
class Claim:
    """An outbox row in our hands. `rendered` is None before its first attempt; `attempts` counts those made; `attempt_id`
    names this one, so that its record can be made again without being made twice.
    """

    account_id: str
    id: str
    trace_id: str
    recipient: str
    attempts: int
    created_at: datetime
    rendered: Rendered | None
    attempt_id: str = field(default_factory=new_id)


def claim(
    store: Store,
    now: datetime,
    limit: int,
    in_hand: Collection[str] = (),
    database_clock: bool = False,
    by: str = "",
) -> list[Claim]:
    """Take up to `limit` rows that are due and in nobody's hands, oldest first.

    `in_hand`: ids of the rows the caller is still at work on; when the clock jumps their leases seem to have run out.
    `by`: who claims; what is leased to the same one without being in its hands was claimed by a commit whose answer got
    lost, and is free again. `database_clock`: leases are kept between nodes, whose clocks differ; where the database has
    a clock, go by that.
    """
    with store.read() as connection:
        if not _due(connection, now, _lease_clock(connection, now, database_clock), 1, in_hand, by):
            return []
    with store.write() as connection:
        clock = _lease_clock(connection, now, database_clock)
        rows = _due(connection, now, clock, limit, in_hand, by)
        lease = {"leased_until": clock + LEASE, "leased_by": by or None}
        connection.execute(update(Outbox).where(_o.id.in_([r.id for r in rows])).values(**lease))
    return [_claim(r) for r in rows]


def _due(
    connection: Connection, now: datetime, clock: datetime, limit: int, in_hand: Collection[str], by: str
) -> Sequence[Row[Any]]:
    """What is due now; else what is due later than anything is ever put off: a clock that was ahead wrote it."""
    free = _o.leased_until.is_(None) | (_o.leased_until < clock) | (_o.leased_until > clock + 2 * LEASE)
    if by:
        free |= _o.leased_by == by
    query = (
        select(*_o).where(_o.state == "pending", free, _o.id.not_in(in_hand)).order_by(_o.next_at, _o.id).limit(limit)
    )
    if connection.dialect.name != "sqlite":
        query = query.with_for_update(skip_locked=True)
    # two questions, so that each is a range of the index
    found = connection.execute(query.where(_o.next_at <= now)).all()
    return found or connection.execute(query.where(_o.next_at > now + FURTHEST)).all()


def _lease_clock(connection: Connection, now: datetime, database_clock: bool) -> datetime:
    if not database_clock or connection.dialect.name == "sqlite":
        return now
    at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return at


def _claim(row: Row[Any]) -> Claim:
    rendered = None
    if row.content is not None:
        rendered = Rendered(row.message_id_header, row.reverse_path, row.content, row.template)
    return Claim(row.account_id, row.id, row.trace_id, row.recipient, row.attempts, row.created_at, rendered)


def release_leases(store: Store) -> None:
    """At the start of the only outbox worker of a data directory: what its predecessor held is free again."""
    with store.write() as connection:
        connection.execute(
            update(Outbox).where(_o.state == "pending", _o.leased_until.is_not(None)).values(leased_until=None)
        )


def keep_rendered(store: Store, claim_: Claim, rendered: Rendered) -> None:
    """Store the bytes that every attempt sends."""
    with store.write() as connection:
        connection.execute(
            update(Outbox)
            .where(_o.account_id == claim_.account_id, _o.id == claim_.id)
            .values(
                message_id_header=rendered.message_id,
                reverse_path=rendered.reverse_path,
                content=rendered.content,
                template=rendered.template,
            )
        )


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to: the state the row gets, and when it is tried again (pending only)."""

    claim: Claim
    delivery: Delivery
    state: str
    next_at: datetime


def settle(store: Store, settlements: Sequence[Settlement], now: datetime) -> None:
    """Record attempts with the other server's words, in the row and in the trace of the message that caused it.

    An attempt that is on record already is left alone: the answer of the commit that recorded it had got lost.
    """
    with store.write() as connection:
        ids = [s.claim.attempt_id for s in settlements]
        known = set(connection.execute(select(_e.id).where(_e.id.in_(ids))).scalars())
        settlements = [s for s in settlements if s.claim.attempt_id not in known]
        for one in settlements:
            mine = (_o.account_id == one.claim.account_id, _o.id == one.claim.id)
            connection.execute(update(Outbox).where(*mine).values(leased_until=None, attempts=_o.attempts + 1))
            settled_at = now if one.state != "pending" else None
            connection.execute(
                update(Outbox)
                # a row that was cancelled meanwhile stays cancelled, unless the mail is out already
                .where(*mine)
                .where((_o.state == "pending") | (one.state == "delivered"))
                .values(
                    state=one.state,
                    next_at=one.next_at,
                    settled_at=settled_at,
                    last_reply=f"{one.delivery.code} {one.delivery.reply}" if one.delivery.code else one.delivery.reply,
                )
            )
        if settlements:
            connection.execute(insert(Event), [_attempt_event(s, now) for s in settlements])


def _attempt_event(one: Settlement, now: datetime) -> dict[str, Any]:
    delivery = one.delivery
    detail: dict[str, Any] = {
        "outbox": one.claim.id,
        "recipient": one.claim.recipient,
        "attempt": one.claim.attempts + 1,
        "via": delivery.via,
        "code": delivery.code,
        "reply": delivery.reply,
    }
    if delivery.uncertain:
        detail["uncertain"] = "the connection broke after the final dot: the relay may have it"
    if one.state == "pending":
        detail["next_at"] = one.next_at.isoformat()
    outcome = "failed" if one.state == "failed" else delivery.result.value
    step = Step(now, "deliver", outcome, "", detail)
    return event_row(one.claim.trace_id, one.claim.account_id, step) | {"id": one.claim.attempt_id}


def next_due(store: Store) -> datetime | None:
    """When the earliest pending row is due."""
    with store.read() as connection:
        found: datetime | None = connection.execute(
            select(_o.next_at).where(_o.state == "pending", _o.leased_until.is_(None)).order_by(_o.next_at).limit(1)
        ).scalar()
        return found


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The DKIM key of an account's own domain."""

    domain: str
    selector: str
    private_key_pem: bytes


def signing_key(store: Store, secret: Secret, account_id: str, gateway_domain: str) -> SigningKey:
    with store.read() as connection:
        row = connection.execute(select(_a.name, _a.dkim_selector, _a.dkim_key).where(_a.id == account_id)).one()
    pem = secret.decrypt(row.dkim_key, f"dkim:{account_id}")
    return SigningKey(f"{row.name}.{gateway_domain}", row.dkim_selector, pem)


def notice_of(store: Store, claim_: Claim, gateway_domain: str) -> Notice:
    """Everything a notification may say, read together. Raises UnknownThing when its ticket or message is gone."""
    with store.read() as connection:
        row = connection.execute(
            select(
                _o.id, _o.kind, _o.recipient, _o.recipient_name, _o.created_at, _o.recipient_key,
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
            .where(_o.account_id == claim_.account_id, _o.id == claim_.id)
        ).first()  # fmt: skip
        if row is None:
            raise UnknownThing("the ticket or message this notification is about is gone")
        return _notice(connection, row, claim_.account_id, gateway_domain)


def _notice(connection: Connection, row: Any, account_id: str, gateway_domain: str) -> Notice:
    facts = load_facts(row.facts)
    kind = NoticeKind(row.kind)
    domain = f"{row.account}.{gateway_domain}"
    return Notice(
        outbox_id=row.id,
        kind=kind,
        language=_language(connection, account_id, row),
        account_id=account_id,
        account=row.account,
        account_domain=domain,
        company_name=row.company_name,
        recipient=Address(row.recipient, row.recipient_name),
        agent_number=_agent_number(connection, account_id, row.recipient_key),
        mailbox=NoticeMailbox(row.address, row.mailbox_name, _inbound(row, domain)),
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
        text=facts.message.text_new[:EXCERPT_CHARACTERS],
        attachments=_attachments(row.decision, facts),
        thread=tuple(thread_of(connection, account_id, row.ticket_id)),
        created_at=row.created_at,
    )


def _language(connection: Connection, account_id: str, row: Any) -> str:
    """Contact (or agent), then mailbox, then account, then English."""
    asked = (
        connection.execute(
            select(_c.language).where(_c.account_id == account_id, _c.address_key == row.recipient_key)
        ).scalar()
        or connection.execute(
            select(_g.language).where(
                _g.account_id == account_id, _g.address_key == row.recipient_key, _g.removed_at.is_(None)
            )
        ).scalar()
    )
    return str(asked or row.mailbox_language or row.account_language or "en")


def _agent_number(connection: Connection, account_id: str, recipient_key: str) -> int | None:
    found: int | None = connection.execute(
        select(_g.number).where(_g.account_id == account_id, _g.address_key == recipient_key, _g.removed_at.is_(None))
    ).scalar()
    return found


def _inbound(row: Any, account_domain: str) -> str:
    """The local part at the account's domain that mail for this mailbox arrives at."""
    local, _, domain = row.address_key.partition("@")
    return str(row.inbound or (local if domain == account_domain else "support"))


def _attachments(decision: str | None, facts: Facts) -> tuple[tuple[str, str], ...]:
    judged = {p["n"]: p for p in load_decision(decision)["parts"]} if decision else {}
    shown = []
    for part in facts.scan.parts:
        fate = judged.get(part.n, {"disposition": "kept", "reason": ""})
        text = fate["disposition"] if not fate["reason"] else f"{fate['disposition']}: {fate['reason']}"
        shown.append((part.name or f"part {part.n}", text))
    return tuple(shown)
