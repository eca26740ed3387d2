"""Kept messages through the live policy again: decided on from the facts as they were found then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.commands.line import OpenLine
from gateway.core.errors import BlobUnavailable
from gateway.core.outcome import Accepted, Outcome, Parked
from gateway.journey import Again
from gateway.store.facts import UnreadableFacts
from gateway.store.filing import KEPT_AS, Kept
from gateway.store.kept_messages import KeptMessage, disposition_of, kept_messages
from gateway.store.stored_message import stored_message

OnProgress = Callable[[int, int], None]

RUN_AGAIN = "runs again"
NOT_UNMADE = "ticketed; what is a ticket stays one"
USUAL = (Kept.QUARANTINED.value, Kept.IGNORED.value)
"""Parked mail needs its fix first, and tickets stay: both are looked at only when asked for."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became, or would become, of one message. `done` is False in a dry run, for tickets, and where it failed."""

    message: KeptMessage
    after: str
    reason: str
    done: bool = False
    ticket: int | None = None
    problem: str = ""


async def reprocess(
    line: OpenLine,
    account_id: str,
    since: datetime,
    dispositions: Sequence[str] = USUAL,
    *,
    dry_run: bool = False,
    notify: bool = False,
    on_progress: OnProgress = lambda _done, _all: None,
) -> list[Change]:
    """Only what the policy sees differently now is touched; returns those, oldest first. Raises StoreUnavailable."""
    found = await line.store_pool(kept_messages, line.store, account_id, since, tuple(dispositions))
    changes: list[Change] = []
    for done, message in enumerate(found, 1):
        change = await _one(line, account_id, message, dry_run=dry_run, notify=notify)
        changes += [change] if change else []
        on_progress(done, len(found))
    return changes


async def _one(line: OpenLine, account_id: str, message: KeptMessage, *, dry_run: bool, notify: bool) -> Change | None:
    try:
        stored = await line.store_pool(stored_message, line.store, line.blobs, account_id, message.id)
    except (BlobUnavailable, UnreadableFacts) as error:
        return Change(message, message.disposition, message.reason, problem=str(error))
    if stored.facts is not None:
        decision = await line.intake.decision_again(stored.envelope, stored.facts)
        after, reason = KEPT_AS[decision.disposition].value, decision.reason.value
        if after == message.disposition:
            return None
        if message.disposition == Kept.TICKETED.value:
            return Change(message, after, reason, problem=NOT_UNMADE)
    else:
        after, reason = RUN_AGAIN, "only the run itself can tell"
    if dry_run:
        return Change(message, after, reason)
    outcome = await line.intake.again(stored.envelope, message.id, Again(stored.facts, quiet=not notify))
    now_is = await line.store_pool(disposition_of, line.store, account_id, message.id)
    return _settled(message, now_is, outcome)


def _settled(message: KeptMessage, now_is: str, outcome: Outcome) -> Change | None:
    """None where somebody else was faster, or where it is parked as before."""
    match outcome:
        case Accepted(duplicate=True):
            return None
        case Accepted(ticket=number):
            return Change(message, now_is, outcome.reason.value, done=True, ticket=number)
        case Parked() if message.disposition == now_is:
            return None
        case Parked():
            return Change(message, now_is, outcome.reason.value, done=True)
        case _:
            return Change(message, message.disposition, outcome.reason.value, problem="not done; try again later")
