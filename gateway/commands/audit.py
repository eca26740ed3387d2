"""Proves that what was accepted is kept: byte-exact, once, in exactly one visible state, and nothing was sent twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.commands.audit_rows import damage, lost_customers, lost_notices, lost_receipts, lost_traces
from gateway.core.errors import BlobUnavailable
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.filing import Kept
from gateway.store.tables import Event, MessageRow, Outbox, Receipt, Ticket, Transaction
from gateway.store.tables.columns import columns

_m, _x, _o, _e = columns(MessageRow), columns(Transaction), columns(Outbox), columns(Event)
_r, _t = columns(Receipt), columns(Ticket)

GONE = ("erased", "expired")
STATES = (*(k.value for k in Kept), *GONE)
CHUNK = 200

OnProgress = Callable[[int, int], None]


@dataclass(slots=True)
class AuditReport:
    """`counts`: accepted, each state, unowned blobs. `problems` is empty when everything agrees."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def audit(store: Store, blobs: FileBlobs, on_progress: OnProgress = lambda _done, _all: None) -> AuditReport:
    """Check everything; reads all content. Raises StoreUnavailable."""
    report = AuditReport()
    with store.read() as connection:
        report.problems += damage(connection)
        _count_states(connection, report)
        _transactions_have_messages(connection, report)
        _tickets_fit(connection, report)
        _receipts_fit(connection, report)
        for lost in (lost_traces, lost_customers, lost_notices):
            report.problems += lost(connection)
        _nothing_sent_twice(connection, report)
        owned = _content_is_intact(connection, blobs, report, on_progress)
    _blobs_are_owned(blobs, owned, report)
    return report


def _count_states(connection: Connection, report: AuditReport) -> None:
    states = connection.execute(select(_m.disposition, func.count()).group_by(_m.disposition)).all()
    found = dict(map(tuple, states))
    report.counts = {"accepted": sum(found.values())} | {s: found.get(s, 0) for s in STATES}
    report.problems += [f"{n} messages are in no known state: {s!r}" for s, n in found.items() if s not in STATES]


def _transactions_have_messages(connection: Connection, report: AuditReport) -> None:
    """Everything answered 250 names a kept message, and every message the transaction that brought it."""
    lost = (
        select(_x.trace_id)
        .outerjoin(MessageRow, (_m.account_id == _x.account_id) & (_m.id == _x.message_id))
        .where(_x.outcome.in_(("accepted", "parked")), _m.id.is_(None))
    )
    report.problems += [f"trace {t}: answered 250, but no message is kept" for t in connection.execute(lost).scalars()]
    unlogged = (
        select(_m.id)
        .outerjoin(Transaction, _x.trace_id == _m.trace_id)
        .where(_m.direction == "inbound", _x.trace_id.is_(None))
    )
    report.problems += [f"message {m}: no transaction brought it" for m in connection.execute(unlogged).scalars()]
    twice = select(_m.trace_id).group_by(_m.trace_id).having(func.count() > 1)
    report.problems += [f"trace {t}: kept more than once" for t in connection.execute(twice).scalars()]


def _tickets_fit(connection: Connection, report: AuditReport) -> None:
    without = (
        select(_m.id)
        .outerjoin(Ticket, (_t.account_id == _m.account_id) & (_t.id == _m.ticket_id))
        .where(_m.disposition == Kept.TICKETED.value, _t.id.is_(None))
    )
    report.problems += [
        f"message {m}: ticketed, but its ticket is missing" for m in connection.execute(without).scalars()
    ]
    by_hand = (_e.account_id == _t.account_id) & (_e.trace_id == _t.id) & (_e.stage == "ticket")
    empty = (
        select(_t.number)
        .outerjoin(MessageRow, (_m.account_id == _t.account_id) & (_m.ticket_id == _t.id))
        .outerjoin(Event, by_hand & (_e.outcome == "opened"))
        .where(_m.id.is_(None), _e.id.is_(None))
    )
    report.problems += [f"ticket {n}: holds no message" for n in connection.execute(empty).scalars()]


def _receipts_fit(connection: Connection, report: AuditReport) -> None:
    dangling = (
        select(_r.trace_id)
        .outerjoin(MessageRow, (_m.account_id == _r.account_id) & (_m.id == _r.message_id))
        .where(_m.id.is_(None))
    )
    report.problems += [f"trace {t}: receipt without a message" for t in connection.execute(dangling).scalars()]


def _nothing_sent_twice(connection: Connection, report: AuditReport) -> None:
    """One row per message, kind and recipient, but for what a person caused again; and each row delivered once."""
    for row, wanted in _owed_again(connection):
        if wanted > 1:
            report.problems.append(f"message {row.message_id}: {row.kind} is owed more than once to the same recipient")
    delivered: Counter[str] = Counter()
    for detail in connection.execute(
        select(_e.detail).where(_e.stage == "deliver", _e.outcome == "delivered")
    ).scalars():
        delivered[detail["outbox"]] += 1
    report.problems += [f"notification {o}: delivered {n} times" for o, n in delivered.items() if n > 1]
    report.counts["delivered"] = len(delivered)


def _owed_again(connection: Connection) -> Iterator[tuple[Any, int]]:
    """What is owed more than once, and how often without a person who assigned the ticket anew."""
    same = (_o.account_id, _o.message_id, _o.kind, _o.recipient_key)
    twice = connection.execute(select(*same).group_by(*same).having(func.count() > 1)).all()
    by_hand = _ordered_by_hand(connection) if twice else set()
    for row in twice:
        query = select(_o.id).where(*(column == value for column, value in zip(same, row, strict=True)))
        yield row, sum(1 for one in connection.execute(query).scalars() if one not in by_hand)


def _ordered_by_hand(connection: Connection) -> set[str]:
    assigned = select(_e.detail).where(_e.stage == "ticket", _e.outcome == "assigned")
    return {d["outbox"] for d in connection.execute(assigned).scalars() if "outbox" in d}


def _content_is_intact(
    connection: Connection, blobs: FileBlobs, report: AuditReport, on_progress: OnProgress
) -> set[tuple[str, str]]:
    """Every message's bytes have the SHA-256 and size they came with. Returns the names of the blobs that are owned."""
    total = report.counts["accepted"]
    owned: set[tuple[str, str]] = set()
    counted = count(1)
    for rows in _all_messages(connection):
        report.problems += lost_receipts(connection, rows)
        for row in rows:
            if row.content is None and row.disposition not in GONE:
                owned.add((row.account_id, row.id))
            _check_content(row, blobs, report)
            on_progress(next(counted), total)
    return owned


def _all_messages(connection: Connection) -> Iterator[Sequence[Any]]:
    """A number of them at a time."""
    last = ("", "")
    columns_read = (_m.account_id, _m.id, _m.content, _m.sha256, _m.size_bytes, _m.disposition)
    while True:
        rows = connection.execute(
            select(*columns_read, _m.recipients, _m.received_at)
            .where((_m.account_id > last[0]) | ((_m.account_id == last[0]) & (_m.id > last[1])))
            .order_by(_m.account_id, _m.id)
            .limit(CHUNK)
        ).all()
        yield rows
        if len(rows) < CHUNK:
            return
        last = (rows[-1].account_id, rows[-1].id)


def _check_content(row: Any, blobs: FileBlobs, report: AuditReport) -> None:
    if row.disposition in GONE:
        if row.content is not None:
            report.problems.append(f"message {row.id}: {row.disposition}, but its content is still there")
        return
    if row.content is None:
        try:
            blobs.get(row.account_id, row.id, row.sha256)
        except BlobUnavailable as error:
            report.problems.append(f"message {row.id}: {error}")
    elif not _is_intact(row):
        report.problems.append(f"message {row.id}: its content is not the bytes that came")


def _is_intact(row: Any) -> bool:
    if not isinstance(row.content, bytes):
        return False
    digest = hashlib.sha256(row.content).hexdigest()
    return bool(len(row.content) == row.size_bytes and digest == row.sha256)


def _blobs_are_owned(blobs: FileBlobs, owned: set[tuple[str, str]], report: AuditReport) -> None:
    """Blobs without a row are no loss (a commit that never was): counted, removed after a day by a later job."""
    report.counts["unowned blobs"] = sum(1 for name in blobs.names() if name not in owned)
