"""Kept messages as their rows tell, for what goes over many of them: facts and content stay closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from gateway.store.engine import Store
from gateway.store.tables import MessageRow, Ticket
from gateway.store.tables.columns import columns

_m, _t = columns(MessageRow), columns(Ticket)


@dataclass(frozen=True, slots=True)
class KeptMessage:
    id: str
    trace: str
    disposition: str
    reason: str
    received_at: datetime
    author: str
    subject: str
    ticket: int | None


def kept_messages(store: Store, account_id: str, since: datetime, dispositions: Sequence[str]) -> list[KeptMessage]:
    """Messages received at `since` or later, in these dispositions, oldest first."""
    query = (
        select(_m.id, _m.trace_id, _m.disposition, _m.reason, _m.received_at, _m.author_address, _m.subject, _t.number)
        .select_from(MessageRow)
        .outerjoin(Ticket, (_t.account_id == _m.account_id) & (_t.id == _m.ticket_id))
        .where(_m.account_id == account_id, _m.direction == "inbound", _m.received_at >= since)
        .where(_m.disposition.in_(dispositions))
        .order_by(_m.id)
    )
    with store.read() as connection:
        return [KeptMessage(*row) for row in connection.execute(query)]


def disposition_of(store: Store, account_id: str, message_id: str) -> str:
    with store.read() as connection:
        query = select(_m.disposition).where(_m.account_id == account_id, _m.id == message_id)
        return str(connection.execute(query).scalar())
