"""Content that goes for good: a tombstone stays, so that the audit still counts what was accepted."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from gateway.core.clock import now
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.trace import Step
from gateway.store.changes import changing
from gateway.store.engine import Store, row_lock
from gateway.store.filing import Kept
from gateway.store.group import event_row
from gateway.store.tables import Event, MessageRow
from gateway.store.tables.columns import columns

_m = columns(MessageRow)

ERASED = "erased"


def erase_quarantined(store: Store, account_id: str, message_id: str, *, by: str) -> bool:
    """Content, facts and what was read from them go; envelope, size and SHA-256 stay. True when there is a blob, which
    the caller removes once this is committed. Raises UnknownThing, InvalidInput.
    """
    with changing(store) as connection:
        row_lock(connection, [account_id])
        mine = (_m.account_id == account_id, _m.id == message_id)
        kept = select(_m.disposition, _m.trace_id, _m.reason, _m.content.is_(None).label("blob")).where(*mine)
        row = connection.execute(kept).first()
        if row is None:
            raise UnknownThing(f"there is no message {message_id} in this account")
        if row.disposition != Kept.QUARANTINED.value:
            raise InvalidInput(f"message {message_id} is {row.disposition}, not quarantined: it is not deleted here")
        connection.execute(
            update(MessageRow)
            .where(*mine)
            .values(
                disposition=ERASED, content=None, facts=None, decision=None, results_header="",
                subject="", author_name="", author_address="",
            )
        )  # fmt: skip
        step = Step(now(), "erase", ERASED, "", {"by": by, "was": row.disposition, "because": row.reason})
        connection.execute(insert(Event).values(event_row(row.trace_id, account_id, step)))
    return bool(row.blob)
