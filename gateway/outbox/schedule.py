"""When a notification is tried again. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

_DELAYS = (
    timedelta(seconds=20),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=20),
    timedelta(minutes=40),
)
_THEN = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=5)
"""RFC 5321 section 4.5.4.1 asks for at least 4 to 5 days."""


def next_attempt(attempts: int, created_at: datetime, at: datetime) -> datetime | None:
    """When to try again after `attempts` failed ones (at least 1), None when the time for it is over.

    The first two come early: a relay that restarts is back within seconds, greylisting within minutes.
    """
    delay = _DELAYS[attempts - 1] if attempts <= len(_DELAYS) else _THEN
    due = at + delay
    return due if due <= created_at + GIVE_UP_AFTER else None
