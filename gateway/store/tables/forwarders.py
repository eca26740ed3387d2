"""What we know of the servers that forward mailboxes to us, the challenges that taught it, and Google's own question."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from gateway.store.tables.columns import moment


class ForwarderRow(SQLModel, table=True):
    """`value` is a `core.forwarder.Forwarder`; `drifts` maps what it began to do otherwise to {before, after, at, trace}."""

    __tablename__ = "forwarder"
    __table_args__ = (Index("forwarder_by_mailbox", "account_id", "mailbox_id"),)
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    mailbox_id: str
    challenge_id: str
    learnt_at: datetime = moment()
    value: dict[str, Any] = Field(sa_type=JSON)
    drifts: dict[str, Any] = Field(sa_type=JSON)


class ChallengeRow(SQLModel, table=True):
    """`state`: open, returned, bounced or expired. `lesson` is what came of it so far: {learnt, why_not, remarks, trace}."""

    __tablename__ = "challenge"
    __table_args__ = (Index("challenge_by_mailbox", "account_id", "mailbox_id", "id"),)
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    mailbox_id: str
    mailbox: str
    token: str = Field(unique=True)
    word: str
    author: str
    reverse_path: str
    subject: str
    message_id: str
    body_digest: str
    outbox_id: str
    state: str = "open"
    sent_at: datetime = moment()
    expires_at: datetime = moment()
    settled_at: datetime | None = moment(default=None, nullable=True)
    lesson: dict[str, Any] = Field(sa_type=JSON)


class Confirmation(SQLModel, table=True):
    """Google asks whether it may forward a user's mail to us. `id` is the message's that asked."""

    __tablename__ = "forwarding_confirmation"
    __table_args__ = (Index("forwarding_confirmation_by_mailbox", "account_id", "mailbox_id", "id"),)
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    mailbox_id: str
    asked_by: str
    code: str
    link: str
    received_at: datetime = moment()
