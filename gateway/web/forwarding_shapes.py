"""What the API says of a mailbox's forwarding."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from gateway.core.forwarder import Form
from gateway.web.shapes import Moment, Remark, one_of


class Drift(BaseModel):
    what: str
    before: str
    after: str
    at: Moment
    trace: str


class Forwarder(BaseModel):
    id: str
    name: str
    networks: list[str]
    provider: Annotated[str, Field(description="Set where strangers share the networks.")]
    spf_domain: str
    form: Annotated[str, one_of(*Form)]
    reverse_path: str
    border: str
    arc_sealer: str
    dkim_domain: str
    adds: list[str]
    keeps_author: bool
    keeps_subject: bool
    keeps_message_id: bool
    keeps_body: bool
    learnt_at: Moment


class KnownForwarder(Forwarder):
    drifts: Annotated[list[Drift], Field(description="What it began to do otherwise since it was learnt.")]


class ChallengeDelivery(BaseModel):
    state: Annotated[str, one_of("pending", "delivered", "failed", "cancelled")]
    attempts: int
    last_reply: str
    next_at: Moment | None
    settled_at: Moment | None


class Check(BaseModel):
    id: str
    state: Annotated[str, one_of("open", "returned", "bounced", "expired")]
    sent_at: Moment
    expires_at: Moment
    settled_at: Moment | None
    subject: str
    delivery: ChallengeDelivery
    learnt: Annotated[bool, Field(description="Whether this challenge taught a forwarder.")]
    why_not: str
    forwarder: Annotated[Forwarder | None, Field(description="The server it came back by, trusted or not.")]
    remarks: list[Remark]
    trace: Annotated[str | None, Field(description="Of the transaction that brought it back, or its bounce.")]


class Confirmation(BaseModel):
    asked_by: str
    code: str
    link: Annotated[str, Field(description="Confirms when opened. The gateway never opens it.")]
    message: str
    received_at: Moment


class Forwarding(BaseModel):
    mailbox: str
    inbound_address: str
    forwarders: list[KnownForwarder]
    check: Check | None
    confirmations: Annotated[list[Confirmation], Field(description="Google's, by proof; the newest first.")]
