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
_UNREACHED = timedelta(seconds=5)
GIVE_UP_AFTER = timedelta(days=5)
"""RFC 5321 section 4.5.4.1 asks for at least 4 to 5 days."""


def next_attempt(attempts: int, created_at: datetime, at: datetime) -> datetime | None:
    """When to try again after `attempts` failed ones (at least 1), None when the time for it is over.

    The first two come early: a relay that restarts is back within seconds, greylisting within minutes.
    """
    delay = _DELAYS[attempts - 1] if attempts <= len(_DELAYS) else _THEN
    return _unless_too_late(at + delay, created_at)


def next_after_silence(created_at: datetime, at: datetime) -> datetime | None:
    """The same where no relay said a word of this mail: what is remembered of the relays says when they are asked again,
    and the mail goes as soon as one of them is back.
    """
    return _unless_too_late(at + _UNREACHED, created_at)


def _unless_too_late(due: datetime, created_at: datetime) -> datetime | None:
    return due if due <= created_at + GIVE_UP_AFTER else None
