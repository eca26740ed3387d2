"""Past messages with the facts and the decision of their day, for whoever judges them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from gateway.store.engine import Store
from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns

PAGE = 500
_m = columns(MessageRow)
_GONE = ("erased", "expired")


@dataclass(frozen=True, slots=True)
class PastMessage:
    """`facts` and `decision` are as `store.facts` wrote them; None for mail that was kept unread (parked)."""

    id: str
    trace: str
    disposition: str
    received_at: datetime
    author: str
    subject: str
    policy_version: int
    facts: str | None
    decision: str | None


def count_of_history(store: Store, account_id: str, since: datetime) -> int:
    """How many messages `history` would give now."""
    with store.read() as connection:
        return int(connection.execute(_received(select(func.count()), account_id, since)).scalar() or 0)


def beginning_of(store: Store, account_id: str, since: datetime, most: int) -> datetime:
    """`since`, or the moment from which on `most` messages came where there are more."""
    query = _received(select(_m.received_at), account_id, since).order_by(_m.received_at.desc()).offset(most - 1)
    with store.read() as connection:
        found: datetime | None = connection.execute(query.limit(1)).scalar()
    return found or since


def history(store: Store, account_id: str, since: datetime) -> Iterator[list[PastMessage]]:
    """Inbound messages received at `since` or later, oldest first, a page at a time; what was erased is not there."""
    last = ""
    fields = (
        _m.id, _m.trace_id, _m.disposition, _m.received_at, _m.author_address, _m.subject, _m.policy_version,
        _m.facts, _m.decision,
    )  # fmt: skip
    while True:
        query = _received(select(*fields), account_id, since).where(_m.id > last).order_by(_m.id).limit(PAGE)
        with store.read() as connection:
            page = [PastMessage(*row) for row in connection.execute(query)]
        if page:
            yield page
        if len(page) < PAGE:
            return
        last = page[-1].id


def _received(query: Select[Any], account_id: str, since: datetime) -> Select[Any]:
    return query.where(
        _m.account_id == account_id,
        _m.direction == "inbound",
        _m.received_at >= since,
        _m.disposition.not_in(_GONE),
    )
