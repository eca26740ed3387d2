"""What the admins of an account are told of its policy by mail. Plain values; words of strangers among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.core.digest import Waiting

PROBATION = "probation"
"""Mail waits because a new version would not ticket what the one before did."""
NOT_PUBLISHED = "policy-not-published"
"""A version that was to be published later did not fit the account when its time came."""
KINDS = (PROBATION, NOT_PUBLISHED)


@dataclass(frozen=True, slots=True)
class PolicyNotice:
    """One mail to one admin. `version` is the one on probation, `before` what it is held against (0 for none); `total` so
    many messages wait for it, `waiting` are the newest of them. Of one that was not published: in `problems` why, a line
    each. `at` is when it was published, or should have been; `timezone` a name of the time zone database.
    """

    outbox_id: str
    kind: str
    language: str
    account_id: str
    account: str
    account_domain: str
    company_name: str
    timezone: str
    recipient: str
    author: str
    note: str
    at: datetime
    version: int
    before: int
    total: int
    waiting: tuple[Waiting, ...]
    problems: tuple[str, ...]
    created_at: datetime
