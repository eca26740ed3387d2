"""What a client has said since MAIL, and the line of the delivery log for a transaction that never reached the intake."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.clock import now
from gateway.core.envelope import Client
from gateway.core.outcome import Reason
from gateway.core.trace import Step, TransactionRecord, refused_detail
from gateway.smtp.content import Incoming
from gateway.smtp.data import Chunked, Framing
from gateway.smtp.replies import Reply
from gateway.store.directory import AccountEntry
from gateway.store.filing import LogEntry
from gateway.store.named import SYSTEM

REFUSALS_KEPT = 100
"""Refused recipients kept by name; beyond, a client that goes on and on is counted, not remembered."""


@dataclass(slots=True)
class OpenTransaction:
    """From MAIL until its end. `taken` counts accepted RCPTs, repeated ones too; `unnamed` refusals beyond those kept."""

    trace_id: str
    reverse_path: str | None = None
    smtputf8: bool = False
    account: AccountEntry | None = None
    recipients: list[str] = field(default_factory=list)
    taken: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    unnamed: int = 0
    last_refusal: tuple[Reason, Reply] | None = None
    incoming: Incoming | None = None
    framing: Framing = field(default_factory=Framing)
    chunks: Chunked | None = None

    def refuse(self, address: str, reason: Reason, reply: Reply) -> None:
        """A recipient, or MAIL itself where `address` is empty, was answered with `reply`."""
        self.last_refusal = (reason, reply)
        if not address:
            return
        if len(self.refused) < REFUSALS_KEPT:
            self.refused.append((address, reason.value))
        else:
            self.unnamed += 1

    def entry(self, client: Client | None, outcome: str, reason: Reason, reply: Reply) -> LogEntry:
        """The delivery log's line, and the one step of its trace."""
        at = now()
        record = TransactionRecord(
            trace_id=self.trace_id,
            account=self.account.name if self.account else SYSTEM,
            at=at,
            outcome=outcome,
            reason=reason.value,
            client_ip=client.ip if client else None,
            helo=client.helo if client else None,
            tls=client.tls if client else None,
            reverse_path=self.reverse_path,
            recipients=(*self.recipients, *(r for r, _ in self.refused)),
            reply=str(reply),
        )
        detail = refused_detail(self.refused, self.unnamed)
        return LogEntry(record, (Step(at, "receive", outcome, reason.value, detail),))


def outcome_of(reply: Reply) -> str:
    """What the delivery log calls a transaction that ended with this refusal."""
    return "deferred" if reply.code < 500 else "refused"
