"""Notifications in the outbox, as plain JSON-able values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from gateway.store.engine import Store
from gateway.store.events import moment
from gateway.store.tables import Account, Outbox, Ticket
from gateway.store.tables.columns import columns

_a = columns(Account)
_o = columns(Outbox)
_t = columns(Ticket)

Json = dict[str, Any]


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
