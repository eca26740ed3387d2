"""The jobs' rows: what is due, and under whose lease. One holder at a time over all nodes; a lease that lapsed is taken over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select, text, update

from gateway.store.engine import Store
from gateway.store.tables import JobRow
from gateway.store.tables.columns import UtcDateTime, columns

LEASE = timedelta(minutes=1)
"""How long a job is its holder's unless the lease is renewed."""

_j = columns(JobRow)
Json = dict[str, Any]

_ENROL = text(
    "INSERT INTO job (name, due_at, state, last_result) VALUES (:name, :at, '{}', '') ON CONFLICT (name) DO NOTHING"
).bindparams(bindparam("at", type_=UtcDateTime))


@dataclass(frozen=True, slots=True)
class Lease:
    """A job in our hands, with what it kept of the run before."""

    name: str
    state: Json


def enrol(store: Store, names: Collection[str], now: datetime) -> None:
    """A row for each job; a new one is due at once."""
    with store.read() as connection:
        known = set(connection.execute(select(_j.name)).scalars())
    if fresh := sorted(set(names) - known):
        with store.write() as connection:
            connection.execute(_ENROL, [{"name": name, "at": now} for name in fresh])


def due(store: Store, names: Collection[str], now: datetime) -> list[str]:
    """Those whose time has come and that nobody runs, the longest due first. Nothing is locked or changed."""
    with store.read() as connection:
        clock = _clock(connection, now)
        query = select(_j.name).where(_j.name.in_(names), _j.due_at <= clock, _free(clock)).order_by(_j.due_at)
        return list(connection.execute(query).scalars())


def take(store: Store, name: str, now: datetime, *, by: str) -> Lease | None:
    """Ours from now on; None where somebody else was faster."""
    with store.write() as connection:
        clock = _clock(connection, now)
        wanted = select(_j.state).where(_j.name == name, _j.due_at <= clock, _free(clock))
        row = connection.execute(wanted.with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        connection.execute(update(JobRow).where(_j.name == name).values(holder=by, leased_until=clock + LEASE))
    return Lease(name, dict(row.state))


def renew(store: Store, names: Iterable[str], now: datetime, *, by: str) -> set[str]:
    """The leases that were still ours hold on; returns these. What lapsed unseen may have another holder by now."""
    kept = set()
    with store.write() as connection:
        until = _clock(connection, now) + LEASE
        for name in sorted(names):
            if connection.execute(update(JobRow).where(*_held(name, by)).values(leased_until=until)).rowcount:
                kept.add(name)
    return kept


def keep_state(store: Store, name: str, state: Json, *, by: str) -> bool:
    """Where the run stands, for whoever goes on after a kill. False where the job is not ours any more."""
    with store.write() as connection:
        return bool(connection.execute(update(JobRow).where(*_held(name, by)).values(state=state)).rowcount)


def settle(store: Store, name: str, now: datetime, *, by: str, again_in: timedelta, result: str) -> bool:
    """A run has ended. An empty `result` leaves the last one to be seen. False where the job is not ours any more."""
    with store.write() as connection:
        at = _clock(connection, now)
        values: Json = {"due_at": at + again_in, "leased_until": None, "holder": None}
        values |= {"last_result": result} if result else {}
        return bool(connection.execute(update(JobRow).where(*_held(name, by)).values(**values)).rowcount)


def give_back(store: Store, *, by: str) -> None:
    """What was begun and not ended is due still, and free."""
    with store.write() as connection:
        connection.execute(update(JobRow).where(_j.holder == by).values(holder=None, leased_until=None))


def release_others(store: Store, by: str) -> None:
    """`by` is the only runner of its data directory: what others held is free again."""
    theirs = _j.holder.is_not(None) & (_j.holder != by)
    with store.read() as connection:
        held = connection.execute(select(_j.name).where(theirs)).first()
    if held:
        with store.write() as connection:
            connection.execute(update(JobRow).where(theirs).values(holder=None, leased_until=None))


def _held(name: str, by: str) -> tuple[ColumnElement[bool], ...]:
    return (_j.name == name, _j.holder == by)


def _free(clock: datetime) -> ColumnElement[bool]:
    """Nobody's, or lapsed, or by a clock that was far ahead."""
    return or_(_j.leased_until.is_(None), _j.leased_until < clock, _j.leased_until > clock + 2 * LEASE)


def _clock(connection: Connection, now: datetime) -> datetime:
    """Nodes' clocks differ: where the database has one, it counts."""
    if connection.dialect.name == "sqlite":
        return now
    at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return at
