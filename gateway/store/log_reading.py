"""The delivery log and the trace of one transaction, as plain JSON-able values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, String, cast, func, or_, select

from gateway.core.errors import UnknownThing
from gateway.store.engine import Store
from gateway.store.events import lines_of, moment
from gateway.store.tables import Account, Event, MessageRow, Transaction
from gateway.store.tables.columns import columns

_a = columns(Account)
_e = columns(Event)
_m = columns(MessageRow)
_x = columns(Transaction)

Json = dict[str, Any]


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
