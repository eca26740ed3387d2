"""Content that goes for good: a tombstone stays, so that the audit still counts what was accepted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway.core.clock import now
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.trace import Step
from gateway.store.blobs import FileBlobs
from gateway.store.changes import changing
from gateway.store.engine import Store, row_lock
from gateway.store.events import event_row, lines_of
from gateway.store.filing import Kept
from gateway.store.tables import Account, Event, MessageRow
from gateway.store.tables.columns import columns

_a, _e, _m = columns(Account), columns(Event), columns(MessageRow)

ERASED = "erased"
EXPIRED = "expired"
AT_ONCE = 100
"""Messages that expire in one transaction: mail that comes in meanwhile waits for no more than these."""
_KEPT = (_m.id, _m.disposition, _m.trace_id, _m.reason, _m.received_at, _m.content.is_(None).label("blob"))


def erase_quarantined(store: Store, blobs: FileBlobs, account_id: str, message_id: str, *, by: str) -> None:
    """Content, facts and what was read from them go; envelope, size and SHA-256 stay. The blob goes after the commit: a
    crash between the two leaves a blob without an owner, never a message without its content. Nothing is erased while the
    blobs' folder is away: nobody would ask for that blob again. Raises UnknownThing, InvalidInput, StoreUnavailable.
    """
    with store.read() as connection:
        has_blob = _waiting(connection, account_id, message_id).blob
    if has_blob:
        blobs.require()  # not within the transaction: a disk that hangs would hold up all mail
    with changing(store) as connection:
        row_lock(connection, [account_id])
        row = _waiting(connection, account_id, message_id)
        step = Step(now(), "erase", ERASED, "", {"by": by, "was": row.disposition, "because": row.reason})
        _bury(connection, account_id, row, ERASED, step)
    if has_blob:
        blobs.remove(account_id, message_id)


def _waiting(connection: Connection, account_id: str, message_id: str) -> Any:
    row = connection.execute(select(*_KEPT).where(_m.account_id == account_id, _m.id == message_id)).first()
    if row is None:
        raise UnknownThing(f"there is no message {message_id} in this account")
    if row.disposition != Kept.QUARANTINED.value:
        raise InvalidInput(f"message {message_id} is {row.disposition}, not quarantined: it is not deleted here")
    return row


def expire_quarantined(store: Store, blobs: FileBlobs, now: datetime) -> int:
    """What has waited in quarantine for more than its account's `quarantine_days` becomes a tombstone, as if erased; returns
    how many messages. Blobs go after the commit, and wait for their folder, as in `erase_quarantined`. May run on several
    nodes at once. Raises StoreUnavailable.
    """
    with store.read() as connection:
        accounts = connection.execute(select(_a.id, _a.quarantine_days).order_by(_a.id)).all()
    return sum(_expire_of(store, blobs, a.id, a.quarantine_days, now) for a in accounts)


def _expire_of(store: Store, blobs: FileBlobs, account_id: str, days: int, now: datetime) -> int:
    """By id, a group at a time: ids sort by arrival."""
    expired, last = 0, ""
    while rows := _oldest(store, account_id, now - timedelta(days=days), last):
        last = rows[-1].id
        if any(row.blob for row in rows):
            blobs.require()
        buried = _expire(store, account_id, [r.id for r in rows], days, now)
        for row in buried:
            if row.blob:
                blobs.remove(account_id, row.id)
        expired += len(buried)
    return expired


def _oldest(store: Store, account_id: str, before: datetime, behind: str) -> list[Any]:
    waiting = (_m.account_id == account_id, _m.disposition == Kept.QUARANTINED.value, _m.received_at < before)
    query = select(*_KEPT).where(*waiting, _m.id > behind).order_by(_m.id).limit(AT_ONCE)
    with store.read() as connection:
        return list(connection.execute(query).all())


def _expire(store: Store, account_id: str, ids: list[str], days: int, now: datetime) -> list[Any]:
    """The rows that were buried: those that still wait, and did not come into quarantine later than they arrived."""
    with store.write() as connection:
        row_lock(connection, [account_id])
        waiting = (_m.account_id == account_id, _m.disposition == Kept.QUARANTINED.value, _m.id.in_(ids))
        rows = connection.execute(select(*_KEPT).where(*waiting).order_by(_m.id)).all()
        over = [r for r in rows if _decided_at(connection, account_id, r) < now - timedelta(days=days)]
        for row in over:
            detail = {"was": row.disposition, "because": row.reason, "after_days": days}
            _bury(connection, account_id, row, EXPIRED, Step(now, "expire", EXPIRED, "", detail))
    return over


def _decided_at(connection: Connection, account_id: str, row: Any) -> datetime:
    """When it came to wait: a later policy may have put old mail there, and then its days begin anew."""
    query = select(*_e).where(_e.account_id == account_id, _e.trace_id == row.trace_id)
    decided = (e.at for e in connection.execute(query) if any(x["stage"] == "decide" for x in lines_of(e)))
    latest: datetime = max(decided, default=row.received_at)
    return latest


def _bury(connection: Connection, account_id: str, row: Any, disposition: str, step: Step) -> None:
    connection.execute(
        update(MessageRow)
        .where(_m.account_id == account_id, _m.id == row.id)
        .values(
            disposition=disposition, content=None, facts=None, decision=None, results_header="",
            subject="", author_name="", author_address="", awaits_scan=False,
        )
    )  # fmt: skip
    connection.execute(insert(Event).values(event_row(row.trace_id, account_id, step)))
