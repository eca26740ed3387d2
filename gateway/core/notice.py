"""What one outbox row asks to be written and sent: plain values, so that templates can be given nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.core.message import Address


class NoticeKind(StrEnum):
    """The folders of `templates/notifications/` that the line itself orders."""

    ACKNOWLEDGEMENT = "acknowledgement"
    NEW_TICKET = "new-ticket"
    ASSIGNED = "assigned"
    CUSTOMER_ANSWERED = "customer-answered"
    FILE_INFECTED = "file-infected"

    @property
    def to_customer(self) -> bool:
        return self is NoticeKind.ACKNOWLEDGEMENT


@dataclass(frozen=True, slots=True)
class NoticeMailbox:
    """The company mailbox a notification speaks for. `inbound` is its local part at the gateway."""

    address: str
    name: str
    inbound: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Everything a notification may say. `agent_number` is set when the recipient is an agent (its answers come to a
    token address); `sender` is the author's verdict (`verified`, `unverified`, ...); where the author is
    only told, `told_by` is the header field that names him and `told_from` the address in From; `attachments` are (name, what
    became of it); `notes` are the internal ones of rules, for agents alone; `thread` are the ticket's Message-IDs, oldest
    first; `text` is what the customer wrote, already cut. `template` names another one than the kind's, as a rule wants it.
    """

    outbox_id: str
    kind: NoticeKind
    language: str
    account_id: str
    account: str
    account_domain: str
    company_name: str
    recipient: Address
    agent_number: int | None
    mailbox: NoticeMailbox
    ticket_id: str
    ticket_number: int
    ticket_label: str
    ticket_subject: str
    ticket_state: str
    ticket_priority: str
    team: str
    assignee: str
    author: Address | None
    sender: str
    sender_reason: str
    told_by: str
    told_from: str
    text: str
    attachments: tuple[tuple[str, str], ...]
    thread: tuple[str, ...]
    created_at: datetime
    template: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """The bytes of a notification before signing, stored so that every attempt sends the same.

    `reverse_path` None is the null reverse-path. `template` names kind, language and version.
    """

    message_id: str
    reverse_path: str | None
    content: bytes
    template: str


class DeliveryResult(StrEnum):
    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt: what came of it, and the other server's reply word for word (`code`, `reply`; code 0 when none came).

    `via` names the relay without its credentials. `uncertain` is True when the connection broke after the final dot:
    the relay may have taken it. `of_the_relay`: what was said concerns the relay and not this mail (a greeting that
    refuses, a login, going away).
    """

    result: DeliveryResult
    code: int
    reply: str
    via: str
    uncertain: bool = False
    of_the_relay: bool = False

    @property
    def took_no_word(self) -> bool:
        """The relay judged nothing of this mail and cannot have it: another one may be asked at once."""
        return self.result is DeliveryResult.RETRY and not self.uncertain and (self.of_the_relay or not self.code)
