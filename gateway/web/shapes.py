"""The JSON objects of the API (interfaces: fields may be added, none is renamed)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from gateway.core.reports import Level, Path, ScanStatus, Sender

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC.")]
T = TypeVar("T")

State = Literal["open", "pending", "closed"]
Disposition = Literal["ticketed", "ignored", "quarantined", "parked", "erased", "expired"]


def one_of(*values: str | StrEnum) -> Any:
    """Documented values. What the store holds is told even when a later release has more of them."""
    return Field(json_schema_extra={"examples": [str(v) for v in values]})


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: Annotated[str | None, Field(description="Give it as `cursor` for the next page; null at the end.")]


class Account(BaseModel):
    name: str
    company_name: str
    domains: list[str]
    language: str
    timezone: str
    listen_only: bool
    number_prefix: str
    next_number: int
    policy_version: int
    arc_sealers: Annotated[
        list[str],
        Field(description="Domains whose ARC seals count, beside those the operator trusts for all accounts."),
    ]
    quarantine_days: Annotated[int, Field(description="Days after which quarantined messages expire.")]
    admins: Annotated[list[str], Field(description="Addresses that get the daily digest of what is held back.")]
    dkim_selector: str
    created_at: Moment


class Participant(BaseModel):
    address: str
    name: str
    role: str


class TicketBase(BaseModel):
    number: int
    label: Annotated[str, Field(description="The number with the account's prefix, as people see it.")]
    account: str
    mailbox: Annotated[str, Field(description="The mailbox's address.")]
    subject: str
    state: Annotated[str, one_of("open", "pending", "closed")]
    priority: Annotated[str, one_of("low", "normal", "high", "urgent")]
    team: str | None
    assignee: Annotated[str | None, Field(description="The agent's address.")]
    tags: list[str]
    fields: dict[str, str]
    participants: list[Participant]
    created_at: Moment
    updated_at: Moment


class TicketSummary(TicketBase):
    messages: Annotated[list[str], Field(description="Ids of its messages, oldest first.")]


class Author(BaseModel):
    name: str
    address: str


class MessageAuthor(Author):
    told_by: Annotated[
        str | None,
        Field(
            description="The header field that names him where From is a machine or a group: never verified. Else null."
        ),
    ]
    from_address: Annotated[str | None, Field(description="Then, whom From names.")]


class Auth(BaseModel):
    sender: Annotated[str, one_of(*Sender)]
    level: Annotated[str, one_of(*Level)]
    by: Annotated[str, Field(description="The proof, for example `dkim:customer.example`.")]
    reason: Annotated[str, Field(description="Why the sender is what it is, in one sentence.")]
    spf: str
    dkim: Annotated[list[dict[str, str]], Field(description="One object a signature; `result`, `detail`, tags.")]
    dmarc: str
    arc: str
    path: Annotated[str, one_of(*Path)]
    forwarder: str | None


class Finding(BaseModel):
    scanner: str
    name: str
    where: Annotated[str, Field(description="`message`, or the number of an attachment.")]


class Scan(BaseModel):
    status: Annotated[str, one_of(*ScanStatus)]
    reason: str
    findings: list[Finding]
    facts: Annotated[dict[str, str | float], Field(description="What scanners say beside it, such as `rspamd.score`.")]


class FileInside(BaseModel):
    path: Annotated[str, Field(description="From the attachment on; of files that are alike, the first one's.")]
    type: Annotated[str, Field(description="Short type by content, empty when the content tells none.")]
    count: int


class FileRelease(BaseModel):
    by: str
    at: Moment
    reason: Annotated[str, Field(description="Why it was held.")]


class Attachment(BaseModel):
    n: Annotated[int, Field(description="Its number among the message's parts, for `/attachments/{n}`.")]
    name: str
    declared_type: str
    detected_type: Annotated[str, Field(description="Short type by content, empty when the content tells none.")]
    size_bytes: int
    sha256: str
    inline: bool
    inside: Annotated[list[FileInside], Field(description="What an archive, a document or a message carries.")]
    disposition: Annotated[str, one_of("kept", "stripped", "held")]
    reason: str
    released: Annotated[FileRelease | None, Field(description="Who let it go, where it was held before.")]


class ConditionSeen(BaseModel):
    condition: str
    expected: str
    saw: str
    holds: bool


class RuleHit(BaseModel):
    rule: str
    conditions: list[ConditionSeen]
    effects: list[str]
    already_decided: Annotated[
        list[list[str]], Field(description="Pairs: an action this rule lost, the rule that won it.")
    ]
    withheld: Annotated[
        list[list[str]],
        Field(description="Pairs: an action that was not carried out, the reason.", default_factory=list),
    ]


class MessageSummary(BaseModel):
    id: str
    trace: str
    direction: Annotated[str, one_of("inbound", "outbound")]
    ticket: int | None
    mailbox: str | None
    internal: Annotated[bool, Field(description="A note: not for customers.")]
    reverse_path: Annotated[str | None, Field(description="Null is the null reverse-path.")]
    recipients: list[str]
    author: MessageAuthor
    subject: str
    message_id: str
    received_at: Moment
    size_bytes: int
    sha256: str
    disposition: Annotated[str, one_of(*Disposition.__args__)]
    reason: str
    auth: Annotated[Auth | None, Field(description="Null for parked mail.")]
    scan: Annotated[Scan | None, Field(description="Null for parked mail.")]
    attachments: list[Attachment]
    rules: list[RuleHit]
    policy_version: int
    authentication_results: Annotated[str, Field(description="RFC 8601, without the field's name.")]
    text: str
    text_new: Annotated[str, Field(description="The text without quotes.")]


class HeaderField(BaseModel):
    name: str
    value: str


class QuarantinedSummary(BaseModel):
    id: str
    trace: str
    since: Annotated[Moment, Field(description="When it came.")]
    expires_at: Annotated[Moment, Field(description="Then its content goes, unless it is released before.")]
    mailbox: str | None
    reverse_path: str | None
    recipients: list[str]
    author: MessageAuthor
    subject: str
    reason: str
    infected: Annotated[str, Field(description="What scanners found in it; it is never released then. Else empty.")]
    size_bytes: int


class Quarantined(QuarantinedSummary):
    sha256: str
    message_id: str
    why: Annotated[list[str], Field(description="In sentences: what was found, and the rule that matched.")]
    auth: Auth
    scan: Scan
    attachments: list[Attachment]
    rules: list[RuleHit]
    headers: Annotated[list[HeaderField], Field(description="Decoded, in order, the first of them.")]
    text: Annotated[str, Field(description="Plain text without controls, cut; never HTML. To be shown as text only.")]
    text_is_cut: bool


class Released(BaseModel):
    outcome: Annotated[str, one_of("accepted", "parked")]
    reason: str
    message: str
    ticket: int | None


class Deleted(BaseModel):
    message: str
    disposition: Annotated[str, one_of("erased")]
    by: str


class Message(MessageSummary):
    html: Annotated[str | None, Field(description="Sanitised: nothing runs, nothing loads. Null when there is none.")]


class Notification(BaseModel):
    id: str
    kind: str
    ticket: Annotated[int | None, Field(description="Null for a forwarding challenge, which belongs to no ticket.")]
    recipient: str
    state: Annotated[str, one_of("pending", "delivered", "failed", "cancelled", "withheld")]
    attempts: int
    created_at: Moment
    next_at: Annotated[Moment | None, Field(description="When it is tried next; null unless it is pending.")]
    settled_at: Moment | None
    message_id: str
    template: str
    last_reply: Annotated[str, Field(description="The other server's words.")]
    trace: str


class Ticket(TicketBase):
    messages: Annotated[list[Message], Field(description="Oldest first.")]
    notifications: list[Notification]


class Event(BaseModel):
    at: Moment
    stage: str
    outcome: str
    reason: str
    detail: dict[str, Any]


class LoggedEvent(Event):
    id: str
    trace: str


class Client(BaseModel):
    ip: str | None
    helo: str | None
    tls: str | None


class Trace(BaseModel):
    id: str
    account: str
    at: Moment
    client: Client
    reverse_path: str | None
    recipients: list[str]
    outcome: Annotated[str, one_of("accepted", "refused", "deferred", "parked")]
    reason: str
    reply: Annotated[str, Field(description="The SMTP reply that ended the transaction.")]
    message: Annotated[str | None, Field(description="The kept message's id.")]
    events: list[Event]


class Remark(BaseModel):
    code: Annotated[str, Field(description="Stable, for programs.")]
    is_good: bool
    text: str
    cure: Annotated[str, Field(description="How to mend it; empty where all is well.")]
