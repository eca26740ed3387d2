"""What waits, as numbers for an operator: counted along indexes, whatever else the database holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from gateway.store.engine import Store
from gateway.store.tables import Account, Change, MessageRow, Outbox
from gateway.store.tables.columns import columns

_a, _m, _o = columns(Account), columns(MessageRow), columns(Outbox)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Notifications that wait, since when the oldest of them does, and messages parked for a person."""

    notifications: int
    oldest_at: datetime | None
    parked: int


def backlog(store: Store) -> Backlog:
    """Raises StoreUnavailable."""
    waiting = select(func.count(), func.min(_o.created_at)).where(_o.state == "pending")
    # an index range for each account: no index begins with the disposition, and no plan may read all messages
    of_account = (
        select(func.count()).where(_m.account_id == _a.id, _m.disposition == "parked").correlate(Account)
    ).scalar_subquery()
    with store.read() as connection:
        notifications, oldest_at = connection.execute(waiting).one()
        parked = connection.execute(select(func.sum(of_account)).select_from(Account)).scalar()
    return Backlog(notifications, oldest_at, int(parked or 0))


def reachable(store: Store) -> None:
    """Read one row. Raises StoreUnavailable when the database does not answer."""
    with store.read() as connection:
        connection.execute(select(columns(Change).number)).scalar()
