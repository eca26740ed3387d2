"""What the line hands to the committer: one judged message to keep, or one line of the delivery log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.addresses import canonical
from gateway.core.decision import Decision, Disposition, Facts
from gateway.core.envelope import Envelope
from gateway.core.forwarder import Forwarder, Remark
from gateway.core.outcome import Reason
from gateway.core.trace import Step, TransactionRecord


class Kept(StrEnum):
    """The one visible state a kept message is in."""

    TICKETED = "ticketed"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"
    PARKED = "parked"


KEPT_AS = {
    Disposition.ACCEPT: Kept.TICKETED,
    Disposition.IGNORE: Kept.IGNORED,
    Disposition.QUARANTINE: Kept.QUARANTINED,
}
"""What a decision makes of a message that is kept."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a message says of the challenge it answers: the forwarder it showed, None for a report on the challenge.

    `why_not`: why nothing is learnt from it all the same; empty where it teaches.
    """

    forwarder: Forwarder | None
    remarks: tuple[Remark, ...]
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Filing:
    """One message to keep. Without `decision` it is parked for `parked`.

    `blob` says that the content lies in the blob store already. `again`: the row exists (re-run, release) and is brought
    up to date; retries and copies were settled when it first came.
    """

    message_id: str
    account_id: str
    envelope: Envelope
    facts: Facts | None
    decision: Decision | None
    parked: Reason | None
    results_header: str
    blob: bool
    steps: tuple[Step, ...]
    again: bool = False
    answered: Answered | None = None

    @property
    def kept(self) -> Kept:
        return KEPT_AS[self.decision.disposition] if self.decision else Kept.PARKED

    @property
    def customer(self) -> str:
        """The author's canonical address, empty where there is none."""
        return canonical(self.facts.message.author.address) if self.facts and self.facts.message.author else ""

    @property
    def reason(self) -> Reason:
        return self.decision.reason if self.decision else (self.parked or Reason.CRASHED)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A transaction that keeps nothing: refused, deferred. `deferral` is the receipt key of a deferred message, so that
    its next attempt knows when the first was (`virus.defer_at_most`).
    """

    record: TransactionRecord
    steps: tuple[Step, ...] = ()
    deferral: str | None = None
