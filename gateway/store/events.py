"""The lines of a trace: how they are written together, and read one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from gateway.core.clock import new_id
from gateway.core.trace import Step

Json = dict[str, Any]


def event_object(event: Step | Row[Any]) -> Json:
    """A line as pages and the API show it."""
    return {
        "at": moment(event.at),
        "stage": event.stage,
        "outcome": event.outcome,
        "reason": event.reason,
        "detail": event.detail,
    }


def moment(at: datetime | None) -> str | None:
    """A time as RFC 3339 writes it, in UTC."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def lines_of(row: Row[Any]) -> list[Json]:
    """All lines of one row of the table, oldest first, with ids that sort in their order."""
    lines = [*(row.earlier or ()), event_object(row)]
    ids = [f"{row.id[:12]}{number:04x}{row.id[16:]}" for number in range(len(lines) - 1)]
    return [{"id": number} | line for number, line in zip([*ids, row.id], lines, strict=True)]


def event_row(trace_id: str, account_id: str, step: Step, number: int = 0, earlier: Sequence[Step] = ()) -> Json:
    """A step as a row; ids of one call sort in its order even within a millisecond."""
    made = new_id()
    return {
        "id": f"{made[:12]}{number:04x}{made[16:]}",
        "account_id": account_id,
        "trace_id": trace_id,
        "at": step.at,
        "stage": step.stage,
        "outcome": step.outcome,
        "reason": step.reason,
        "detail": step.detail,
        "earlier": [event_object(e) for e in earlier] or None,
    }
