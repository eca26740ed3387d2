"""The lines of a trace: how they are written together, and read one by one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

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
