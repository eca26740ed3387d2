"""The files of kept messages, those that are held above all: for people who decide about them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select

from gateway.core.decision import PartDisposition
from gateway.core.errors import UnknownThing
from gateway.store import message_reading
from gateway.store.engine import Store
from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns

_m = columns(MessageRow)

Json = dict[str, Any]

MESSAGES_SHOWN = 500
"""Messages that one list looks into, the newest."""
_HELD = '"disposition":"held"'
"""As the stored decision has it. Words of a stranger in there have their quotes escaped and cannot say this."""


def has_held_files() -> ColumnElement[bool]:
    """Of message rows: something of it waits for an admin."""
    found: ColumnElement[bool] = _m.decision.contains(_HELD, autoescape=True)
    return found


def files(store: Store, account_id: str, message_id: str | None = None, *, held: bool = False) -> list[Json]:
    """Attachment objects with their message, ticket and subject, newest message first; `held`: only those that wait.

    Of one message, or of the newest `MESSAGES_SHOWN` that have any. Raises UnknownThing for a message that is not there.
    """
    query = message_reading.message_rows().where(_m.account_id == account_id).order_by(_m.id.desc())
    query = query.where(_m.id == message_id) if message_id else query.where(_m.decision.is_not(None))
    if held:
        query = query.where(has_held_files())
    there = select(_m.id).where(_m.account_id == account_id, _m.id == message_id)
    with store.read() as connection:
        if message_id and connection.execute(there).first() is None:
            raise UnknownThing(f"there is no message {message_id} in this account")
        rows = connection.execute(query.limit(MESSAGES_SHOWN)).all()
    return [
        _context(message) | file
        for message in map(message_reading.message_object, rows)
        for file in message["attachments"]
        if not held or file["disposition"] == PartDisposition.HELD
    ]


def _context(message: Json) -> Json:
    return {
        "message": message["id"],
        "trace": message["trace"],
        "ticket": message["ticket"],
        "subject": message["subject"],
        "message_disposition": message["disposition"],
        "scan": message["scan"]["status"] if message["scan"] else None,
    }
