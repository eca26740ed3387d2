"""What the admins of an account are told once a day: what newly waits for them. Plain values; words of strangers among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.core.message import Address

KIND = "digest"
HELD_FILE = "held-file"
"""Reason of a message that went on while a file of it waits."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message: since when, whose, about what, and why it waits (`Reason`, or `HELD_FILE`)."""

    message_id: str
    since: datetime
    author: Address
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Digest:
    """One mail to one admin. `reasons` are (reason, how many), the most frequent first; `waiting` the newest messages,
    `more` how many others there are. `timezone` is a name of the time zone database, UTC where that has none such.
    """

    outbox_id: str
    language: str
    account_id: str
    account: str
    account_domain: str
    company_name: str
    timezone: str
    recipient: str
    reasons: tuple[tuple[str, int], ...]
    waiting: tuple[Waiting, ...]
    more: int
    created_at: datetime
