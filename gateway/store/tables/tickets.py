"""Tickets, who takes part in them, and the mail they owe."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from gateway.store.tables.columns import moment

_ASSIGNED = text("assigned_at IS NOT NULL")


class Ticket(SQLModel, table=True):
    __tablename__ = "ticket"
    __table_args__ = (
        UniqueConstraint("account_id", "number"),
        Index("ticket_by_assignee", "account_id", "assignee_id", "state"),
        Index("ticket_by_state", "account_id", "state", "number"),
        Index("ticket_by_day", "account_id", "assigned_at", sqlite_where=_ASSIGNED, postgresql_where=_ASSIGNED),
    )
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    number: int
    mailbox_id: str
    subject: str
    state: str = "open"
    priority: str = "normal"
    language: str | None = None
    team_id: str | None = None
    assignee_id: str | None = None
    assigned_at: datetime | None = moment(default=None, nullable=True)
    tags: list[str] = Field(sa_type=JSON)
    fields: dict[str, str] = Field(sa_type=JSON)
    created_at: datetime = moment()
    updated_at: datetime = moment()
    closed_at: datetime | None = moment(default=None, nullable=True)


class Participant(SQLModel, table=True):
    """An address that belongs to a ticket. `address_key` is its canonical form. `role`: `customer` wrote it, `cc` was named
    in To or Cc.
    """

    __tablename__ = "participant"
    __table_args__ = (Index("participant_by_address", "account_id", "address_key", "ticket_id"),)
    account_id: str = Field(primary_key=True)
    ticket_id: str = Field(primary_key=True)
    address_key: str = Field(primary_key=True)
    address: str
    name: str = ""
    role: str = "customer"


class Outbox(SQLModel, table=True):
    """A notification owed to one recipient. `state`: pending, delivered, failed, cancelled or withheld.

    The first claim renders and stores `content`; every attempt sends these bytes, signed anew.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_by_due", "state", "next_at"),
        Index("outbox_by_recipient", "account_id", "kind", "recipient_key", "created_at"),
        Index("outbox_by_ticket", "account_id", "ticket_id"),
    )
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    trace_id: str
    ticket_id: str
    message_id: str
    kind: str
    recipient: str
    recipient_key: str
    recipient_name: str = ""
    agent_id: str | None = None
    state: str = "pending"
    attempts: int = 0
    created_at: datetime = moment()
    next_at: datetime = moment()
    leased_until: datetime | None = moment(default=None, nullable=True)
    leased_by: str | None = None
    settled_at: datetime | None = moment(default=None, nullable=True)
    message_id_header: str = ""
    reverse_path: str | None = None
    content: bytes | None = Field(default=None, sa_type=LargeBinary)
    template: str = ""
    last_reply: str = ""
