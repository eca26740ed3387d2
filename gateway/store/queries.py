"""Read models: what people and programs are shown, as plain JSON-able values (interfaces: ticket, message, trace)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, String, cast, func, or_, select

from gateway.core.decision import Facts
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import BlobUnavailable, UnknownThing
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.events import lines_of, moment
from gateway.store.facts import load_decision, load_facts
from gateway.store.shown_text import is_withheld, shown_text
from gateway.store.tables import (
    Account,
    Agent,
    Event,
    MailboxRow,
    MessageRow,
    Outbox,
    Participant,
    Team,
    Ticket,
    Transaction,
)
from gateway.store.tables.columns import columns

_a, _g, _e, _b, _m = columns(Account), columns(Agent), columns(Event), columns(MailboxRow), columns(MessageRow)
_o, _p, _team, _t, _x = columns(Outbox), columns(Participant), columns(Team), columns(Ticket), columns(Transaction)

Json = dict[str, Any]

_GONE = ("erased", "expired")
"""Dispositions of messages whose content has gone for good."""


def account_id(store: Store, name: str) -> str:
    """Raises UnknownThing."""
    with store.read() as connection:
        found = connection.execute(select(_a.id).where(_a.name == name)).scalar()
        if found is None:
            names = ", ".join(connection.execute(select(_a.name).order_by(_a.name)).scalars()) or "none yet"
            raise UnknownThing(f"there is no account {name!r}; accounts: {names}")
    return str(found)


# --- tickets ---


def ticket_rows(account: str) -> Select[Any]:
    """What `ticket_objects` needs of every ticket of an account, in no order."""
    return (
        select(
            *_t, _a.name.label("account"), _b.address.label("mailbox"), _team.name.label("team"),
            _g.address.label("assignee"), _a.number_prefix,
        )
        .select_from(Ticket)
        .join(Account, _a.id == _t.account_id)
        .join(MailboxRow, (_b.account_id == _t.account_id) & (_b.id == _t.mailbox_id))
        .outerjoin(Team, (_team.account_id == _t.account_id) & (_team.id == _t.team_id))
        .outerjoin(Agent, (_g.account_id == _t.account_id) & (_g.id == _t.assignee_id))
        .where(_t.account_id == account)
    )  # fmt: skip


def tickets(store: Store, account: str, *, state: str | None = None) -> list[Json]:
    """Ticket objects, newest first."""
    query = ticket_rows(account).order_by(_t.number.desc())
    if state:
        query = query.where(_t.state == state)
    with store.read() as connection:
        return ticket_objects(connection, account, connection.execute(query).all())


def ticket_objects(connection: Connection, account: str, rows: Sequence[Row[Any]]) -> list[Json]:
    """Tickets with their messages' ids, for rows of `ticket_rows`."""
    people = _participants(connection, account, [r.id for r in rows])
    ids = _message_ids(connection, account, [r.id for r in rows])
    return [_ticket(r, people.get(r.id, []), ids.get(r.id, [])) for r in rows]


def ticket(store: Store, account: str, number: int, blobs: FileBlobs | None = None) -> Json:
    """One ticket with its full messages, oldest first, and the notifications sent about it. Raises UnknownThing."""
    with store.read() as connection:
        row = connection.execute(ticket_rows(account).where(_t.number == number)).first()
        if row is None:
            raise UnknownThing(f"there is no ticket {number} in this account; `gateway ticket list` shows all")
        messages = connection.execute(
            message_rows().where(_m.account_id == account, _m.ticket_id == row.id).order_by(_m.id)
        ).all()
        sent = connection.execute(
            select(*_o).where(_o.account_id == account, _o.ticket_id == row.id).order_by(_o.id)
        ).all()
        people = _participants(connection, account, [row.id])
    shown = _ticket(row, people.get(row.id, []), [])
    shown["messages"] = [message_object(m) | {"html": _html(store, blobs, account, m)} for m in messages]
    shown["notifications"] = [outbox_object(o, row.number) for o in sent]
    return shown


def _ticket(row: Any, people: Sequence[Json], messages: Sequence[str]) -> Json:
    return {
        "number": row.number,
        "label": f"{row.number_prefix}{row.number}",
        "account": row.account,
        "mailbox": row.mailbox,
        "subject": row.subject,
        "state": row.state,
        "priority": row.priority,
        "team": row.team,
        "assignee": row.assignee,
        "tags": row.tags,
        "fields": row.fields,
        "participants": list(people),
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "messages": list(messages),
    }


def _participants(connection: Connection, account: str, tickets_: Sequence[str]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for chunk in _chunks(tickets_):
        query = select(*_p).where(_p.account_id == account, _p.ticket_id.in_(chunk))
        # sorted here: asked for an order, SQLite walks along it through all that the account has
        for row in sorted(connection.execute(query), key=lambda r: str(r.address_key)):
            person = {"address": row.address, "name": row.name, "role": row.role}
            found.setdefault(row.ticket_id, []).append(person)
    return found


def _message_ids(connection: Connection, account: str, tickets_: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for chunk in _chunks(tickets_):
        query = select(_m.id, _m.ticket_id).where(_m.account_id == account, _m.ticket_id.in_(chunk))
        for row in sorted(connection.execute(query), key=lambda r: str(r.id)):  # for the same reason
            found.setdefault(row.ticket_id, []).append(row.id)
    return found


def _chunks(ids: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    """SQLite takes a bounded number of parameters."""
    return [ids[i : i + size] for i in range(0, len(ids), size)]


# --- messages ---


def message_rows() -> Select[Any]:
    """What `message_object` needs of every message there is, in no order: the caller names the account."""
    light = [c for c in _m if c.name != "content"]
    return (
        select(*light, _t.number.label("ticket_number"), _b.address.label("mailbox"))
        .select_from(MessageRow)
        .outerjoin(Ticket, (_t.account_id == _m.account_id) & (_t.id == _m.ticket_id))
        .outerjoin(MailboxRow, (_b.account_id == _m.account_id) & (_b.id == _m.mailbox_id))
    )


def messages(store: Store, account: str, *, disposition: str | None = None) -> list[Json]:
    """Message objects, newest first."""
    query = message_rows().where(_m.account_id == account).order_by(_m.id.desc())
    if disposition:
        query = query.where(_m.disposition == disposition)
    with store.read() as connection:
        return [message_object(r) for r in connection.execute(query)]


def message(store: Store, account: str, message_id: str, blobs: FileBlobs | None = None) -> Json:
    """Raises UnknownThing."""
    with store.read() as connection:
        row = connection.execute(message_rows().where(_m.account_id == account, _m.id == message_id)).first()
    if row is None:
        raise UnknownThing(f"there is no message {message_id} in this account")
    return message_object(row) | {"html": _html(store, blobs, account, row)}


def _html(store: Store, blobs: FileBlobs | None, account: str, row: Any) -> str | None:
    """The message's HTML, sanitised; read from the raw message, which is the truth. None for parked mail, mail without
    HTML or of which the text was taken, infected mail in quarantine, and where the raw message cannot be read just now or is
    not wanted (no `blobs`).
    """
    facts = load_facts(row.facts) if row.facts and blobs else None
    if facts is None or blobs is None or facts.body == "text" or is_withheld(row.disposition, facts):
        return None
    try:
        content = raw_content(store, blobs, account, row.id)
    except BlobUnavailable:
        return None
    from gateway.parse import parse, sanitised

    html = parse(content).html if content else None
    return sanitised(html) if html else None


def message_object(row: Any) -> Json:
    facts = load_facts(row.facts) if row.facts else None
    decision = load_decision(row.decision) if row.decision else None
    return {
        "id": row.id,
        "trace": row.trace_id,
        "direction": row.direction,
        "ticket": row.ticket_number,
        "mailbox": row.mailbox,
        "internal": row.internal,
        "reverse_path": row.reverse_path,
        "recipients": row.recipients,
        "author": {"name": row.author_name, "address": row.author_address} | _told(facts),
        "subject": row.subject,
        "message_id": row.message_id,
        "received_at": moment(row.received_at),
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "disposition": row.disposition,
        "reason": row.reason,
        "auth": _auth(facts) if facts else None,
        "scan": _scan(facts) if facts else None,
        "attachments": _attachments(facts, decision) if facts and decision else [],
        "rules": decision["hits"] if decision else [],
        "policy_version": row.policy_version,
        "authentication_results": row.results_header,
        "text": shown_text(facts.message.text, row.disposition, facts) if facts else "",
        "text_new": shown_text(facts.message.text_new, row.disposition, facts) if facts else "",
    }


def _told(facts: Facts | None) -> Json:
    """By which header field another author than From's is told, and whom From names; nulls where From is the author."""
    told = facts.told if facts else None
    return {"told_by": told.field if told else None, "from_address": told.written.address if told else None}


def _auth(facts: Facts) -> Json:
    auth = facts.auth
    dkim = [
        {"result": r.result, **{k.removeprefix("header."): v for k, v in r.properties}, "detail": r.detail}
        for r in auth.results
        if r.method == "dkim"
    ]
    return {
        "sender": auth.sender.value,
        "level": auth.level.value,
        "by": auth.by,
        "reason": auth.reason,
        "spf": auth.result_of("spf"),
        "dkim": dkim,
        "dmarc": auth.result_of("dmarc"),
        "arc": auth.result_of("arc"),
        "path": auth.path.value,
        "forwarder": auth.forwarder,
    }


def _scan(facts: Facts) -> Json:
    findings = [{"scanner": f.scanner, "name": f.name, "where": f.where} for f in facts.scan.findings]
    status, said = facts.scan.status.value, dict(facts.scan.facts)
    return {"status": status, "reason": facts.scan.reason, "findings": findings, "facts": said}


def _attachments(facts: Facts, decision: Mapping[str, Any]) -> list[Json]:
    judged = {p["n"]: p for p in decision["parts"]}
    shown = []
    for part in facts.scan.parts:
        fate = judged.get(part.n, {"disposition": "kept", "reason": ""})
        shown.append(
            {
                "n": part.n,
                "name": part.name,
                "declared_type": part.declared_type,
                "detected_type": part.detected_type,
                "size_bytes": part.size_bytes,
                "sha256": part.sha256,
                "inline": part.inline,
                "inside": [{"path": f.path, "type": f.detected_type, "count": f.count} for f in part.inside],
                "disposition": fate["disposition"],
                "reason": fate["reason"],
                "released": fate.get("released"),
            }
        )
    return shown


def raw_content(store: Store, blobs: FileBlobs, account: str, message_id: str) -> bytes | None:
    """The message as it came. None when there is none such, or its content has gone for good; raises BlobUnavailable when
    it cannot be read whole.
    """
    query = select(_m.content, _m.sha256, _m.disposition).where(_m.account_id == account, _m.id == message_id)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None or row.disposition in _GONE:
        return None
    return row.content if row.content is not None else blobs.get(account, message_id, row.sha256)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What `Intake.again` needs: the envelope as it was, and the facts as they were then (None for parked mail)."""

    envelope: Envelope
    facts: Facts | None
    disposition: str


def stored_message(store: Store, blobs: FileBlobs, account: str, message_id: str) -> StoredMessage:
    """Raises UnknownThing, BlobUnavailable."""
    query = (
        select(*_m, _a.name.label("account"), _x.client_ip, _x.helo, _x.tls)
        .select_from(MessageRow)
        .join(Account, _a.id == _m.account_id)
        .outerjoin(Transaction, _x.trace_id == _m.trace_id)
        .where(_m.account_id == account, _m.id == message_id)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise UnknownThing(f"there is no message {message_id} in this account")
    if row.disposition in ("erased", "expired"):
        raise UnknownThing(f"message {message_id} is {row.disposition}: its content is gone")
    content = row.content if row.content is not None else blobs.get(account, message_id, row.sha256)
    facts = load_facts(row.facts) if row.facts else None
    envelope = Envelope(
        trace_id=row.trace_id,
        account=row.account,
        source=row.source,
        received_at=row.received_at,
        client=Client(row.client_ip, row.helo or "", row.tls) if row.client_ip else None,
        reverse_path=row.reverse_path,
        recipients=tuple(row.recipients),
        smtputf8=facts.envelope.smtputf8 if facts else not "".join(row.recipients).isascii(),
        content=content,
        sha256=row.sha256,
    )
    return StoredMessage(envelope, facts, row.disposition)


# --- the delivery log ---


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What `log` shows; None means everything."""

    account: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    sender: str | None = None
    recipient: str | None = None
    limit: int = 1000


def _transactions() -> Select[Any]:
    return (
        select(*_x, _a.name.label("account"), _m.message_id.label("header"), _m.author_address, _m.disposition)
        .select_from(Transaction)
        .outerjoin(Account, _a.id == _x.account_id)
        .outerjoin(MessageRow, (_m.account_id == _x.account_id) & (_m.id == _x.message_id))
    )


def log_lines(store: Store, wanted: LogFilter) -> list[Json]:
    """A line per transaction, oldest first, refused and deferred ones too."""
    query = _transactions().order_by(_x.at.desc()).limit(wanted.limit)
    if wanted.account:
        query = query.where(_a.name == wanted.account)
    if wanted.outcome:
        query = query.where(_x.outcome == wanted.outcome)
    if wanted.since:
        query = query.where(_x.at >= wanted.since)
    if wanted.sender:
        sender = wanted.sender.lower()
        query = query.where(or_(func.lower(_x.reverse_path) == sender, func.lower(_m.author_address) == sender))
    if wanted.recipient:
        # recipients are a JSON list of addresses: the quotes make it the whole address
        named = func.lower(cast(_x.recipients, String)).contains(f'"{wanted.recipient.lower()}"', autoescape=True)
        query = query.where(named)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [_line(r) for r in reversed(rows)]


def _line(row: Any) -> Json:
    return {
        "trace": row.trace_id,
        "at": moment(row.at),
        "account": row.account or "system",
        "outcome": row.outcome,
        "reason": row.reason,
        "disposition": row.disposition,
        "client": row.client_ip,
        "reverse_path": row.reverse_path,
        "recipients": row.recipients,
        "reply": row.reply,
    }


def trace(store: Store, trace_id: str) -> Json:
    """The passport of one transaction. Raises UnknownThing."""
    with store.read() as connection:
        row = connection.execute(_transactions().where(_x.trace_id == trace_id.upper())).first()
        if row is None:
            raise UnknownThing(f"there is no trace {trace_id}; `gateway log` lists them")
        events = connection.execute(select(*_e).where(_e.trace_id == row.trace_id).order_by(_e.id)).all()
    return {
        "id": row.trace_id,
        "account": row.account or "system",
        "at": moment(row.at),
        "client": {"ip": row.client_ip, "helo": row.helo, "tls": row.tls},
        "reverse_path": row.reverse_path,
        "recipients": row.recipients,
        "outcome": row.outcome,
        "reason": row.reason,
        "reply": row.reply,
        "message": row.message_id,
        "events": [_without_id(line) for e in events for line in lines_of(e)],
    }


def traces_of_message_id(store: Store, message_id: str) -> list[str]:
    """Traces of all transactions that brought a message with this Message-ID."""
    wanted = message_id.strip().removeprefix("<").removesuffix(">")
    with store.read() as connection:
        return list(connection.execute(select(_m.trace_id).where(_m.message_id == wanted).order_by(_m.id)).scalars())


def _without_id(line: Json) -> Json:
    return {name: value for name, value in line.items() if name != "id"}


# --- the outbox ---


def outbox_rows(store: Store, account: str | None, *, state: str | None = None) -> list[Json]:
    """What is owed and what was sent, newest first."""
    query = (
        select(*_o, _t.number.label("number"), _a.name.label("account"))
        .select_from(Outbox)
        .outerjoin(Ticket, (_t.account_id == _o.account_id) & (_t.id == _o.ticket_id))
        .join(Account, _a.id == _o.account_id)
        .order_by(_o.id.desc())
    )
    if account:
        query = query.where(_a.name == account)
    if state:
        query = query.where(_o.state == state)
    with store.read() as connection:
        return [outbox_object(r, r.number) | {"account": r.account} for r in connection.execute(query)]


def outbox_object(row: Any, number: int | None) -> Json:
    """`number` is the ticket's, None for what belongs to none: forwarding challenges."""
    return {
        "id": row.id,
        "kind": row.kind,
        "ticket": number,
        "recipient": row.recipient,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": moment(row.created_at),
        "next_at": moment(row.next_at) if row.state == "pending" else None,
        "settled_at": moment(row.settled_at),
        "message_id": row.message_id_header,
        "template": row.template,
        "last_reply": row.last_reply,
        "trace": row.trace_id,
    }
