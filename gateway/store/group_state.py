"""What one group commit knows of an account, a ticket and a copy, as its transaction moves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class AccountState:
    """An account row as this transaction moves it."""

    id: str
    name: str
    timezone: str
    listen_only: bool
    next_number: int
    turn: int
    acknowledged_hour: datetime | None
    acknowledged: int
    change: int

    def take_number(self) -> int:
        number = self.next_number
        self.next_number += 1
        return number


@dataclass(slots=True)
class Joined:
    """A ticket that exists, or is made in this group."""

    id: str
    number: int
    state: str
    team_id: str | None
    assignee_id: str | None
    created_at: datetime
    tags: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    is_untouched: bool = True
    closed_at: datetime | None = None

    def reopen(self) -> None:
        self.state, self.closed_at = "open", None


def closed_since(row: Any) -> datetime | None:
    """When a ticket was closed, None for one that is not. Who closed it before that was a column last touched it then."""
    return (row.closed_at or row.updated_at) if row.state == "closed" else None


@dataclass(slots=True)
class TwinState:
    message_id: str
    ticket_id: str
    rank: int
    at: datetime
