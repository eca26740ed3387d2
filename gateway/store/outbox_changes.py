"""What people do to notifications: each in one transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update

from gateway.core.clock import now
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.trace import Step
from gateway.store.changes import changing, one_row
from gateway.store.engine import Store
from gateway.store.events import event_row
from gateway.store.tables import Event, Outbox
from gateway.store.tables.columns import columns

_o = columns(Outbox)

Json = dict[str, Any]


def retry_outbox(store: Store, account_id: str, outbox_id: str | None) -> int:
    """Make a pending or failed row (or all that are pending) due now; returns how many. Raises UnknownThing."""
    with changing(store) as connection:
        mine = [_o.account_id == account_id]
        mine += [_o.id == outbox_id, _o.state.in_(("pending", "failed"))] if outbox_id else [_o.state == "pending"]
        values: Json = {"state": "pending", "next_at": now(), "settled_at": None}
        moved = connection.execute(update(Outbox).where(*mine).values(**values)).rowcount
    if outbox_id and not moved:
        raise UnknownThing(f"there is no pending or failed notification {outbox_id}; `gateway outbox list` shows them")
    return moved


def cancel_outbox(store: Store, account_id: str, outbox_id: str, *, by: str) -> str:
    """A notification that has not left is not sent any more; returns its state before. One that is on its way just now
    may still arrive, and is then shown as delivered. Raises UnknownThing, InvalidInput.
    """
    with changing(store) as connection:
        mine = (_o.account_id == account_id, _o.id == outbox_id)
        query = select(_o.state, _o.trace_id, _o.recipient).where(*mine).with_for_update()
        row = one_row(connection, query, f"there is no notification {outbox_id}; `gateway outbox list` shows them")
        if row.state not in ("pending", "failed", "withheld"):
            raise InvalidInput(f"notification {outbox_id} is {row.state} already: there is nothing to cancel")
        at = now()
        values: Json = {"state": "cancelled", "settled_at": at, "last_reply": f"cancelled by {by}"}
        connection.execute(update(Outbox).where(*mine).values(**values))
        detail = {"outbox": outbox_id, "recipient": row.recipient, "by": by, "from": row.state}
        step = Step(at, "outbox", "cancelled", "", detail)
        connection.execute(insert(Event).values(event_row(row.trace_id, account_id, step)))
    return str(row.state)
