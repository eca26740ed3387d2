"""The steps of one transaction, as they are kept with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.core.envelope import Envelope

NAMED_REFUSALS = 20
"""So many refused recipients of a transaction go on record by name; of the others their number."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a trace: which stage, when, what came of it, why. `detail` is JSON-able and free of content."""

    at: datetime
    stage: str
    outcome: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """The delivery log's line for one SMTP (or pipe) transaction, refused and deferred ones included.

    `account` is the account's name, `system` where none was known. `recipients` include refused ones.
    `outcome` is accepted, refused, deferred or parked; `reply` the SMTP reply that ended it.
    """

    trace_id: str
    account: str
    at: datetime
    outcome: str
    reason: str
    client_ip: str | None
    helo: str | None
    tls: str | None
    reverse_path: str | None
    recipients: tuple[str, ...]
    reply: str
    message_id: str | None = None


def record_of(
    envelope: Envelope, *, outcome: str, reason: str, reply: str, message_id: str | None = None
) -> TransactionRecord:
    """The delivery log's line for an envelope; its recipients include the first of those the session refused."""
    client = envelope.client
    return TransactionRecord(
        trace_id=envelope.trace_id,
        account=envelope.account,
        at=envelope.received_at,
        outcome=outcome,
        reason=reason,
        client_ip=client.ip if client else None,
        helo=client.helo if client else None,
        tls=client.tls if client else None,
        reverse_path=envelope.reverse_path,
        recipients=(*envelope.recipients, *(r for r, _ in envelope.refused[:NAMED_REFUSALS])),
        reply=reply,
        message_id=message_id,
    )


def refused_detail(refused: Sequence[tuple[str, str]], more: int = 0) -> dict[str, Any]:
    """What a step tells of refused recipients, each with its reason: the first by name, and how many more there were.

    `more` were not even kept in `refused`.
    """
    named = [{"recipient": r, "reason": why} for r, why in refused[:NAMED_REFUSALS]]
    more += len(refused) - len(named)
    return ({"refused_recipients": named} if named else {}) | ({"more_refused_recipients": more} if more else {})


def received(envelope: Envelope) -> Step:
    """The first step of every envelope's trace."""
    client = envelope.client
    detail: dict[str, Any] = {"source": envelope.source, "size_bytes": len(envelope.content), "sha256": envelope.sha256}
    if client:
        detail |= {"client": client.ip, "helo": client.helo, "tls": client.tls}
    return Step(envelope.received_at, "receive", "done", "", detail | refused_detail(envelope.refused))
