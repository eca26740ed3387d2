"""Messages, the transactions that brought them, and the keys that keep retries and copies apart."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from gateway.store.tables.columns import moment


class MessageRow(SQLModel, table=True):
    """A kept message in exactly one visible state (`disposition`).

    `content` is the raw message where it is small, NULL where it lies in the blob store. `facts` and `decision` are
    versioned JSON; parked messages have none. `awaits_scan`: the scanner was away when it came, and is asked again.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("message_by_trace", "trace_id"),
        Index("message_by_ticket", "account_id", "ticket_id"),
        Index("message_by_disposition", "account_id", "disposition", "id"),
        Index(
            "message_by_awaited_scan",
            "account_id",
            "id",
            sqlite_where=text("awaits_scan = 1"),
            postgresql_where=text("awaits_scan"),
        ),
    )
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    trace_id: str
    source: str
    direction: str = "inbound"
    ticket_id: str | None = None
    mailbox_id: str | None = None
    internal: bool = False
    disposition: str
    reason: str = ""
    reverse_path: str | None = None
    recipients: list[str] = Field(sa_type=JSON)
    author_name: str = ""
    author_address: str = ""
    subject: str = ""
    message_id: str = Field(default="", index=True)
    received_at: datetime = moment()
    size_bytes: int
    sha256: str
    content: bytes | None = Field(default=None, sa_type=LargeBinary)
    results_header: str = ""
    facts: str | None = None
    decision: str | None = None
    policy_version: int = 0
    awaits_scan: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class Receipt(SQLModel, table=True):
    """The key of a transaction: (account, sorted recipients, SHA-256 of the content). A retry finds it and changes nothing."""

    __tablename__ = "receipt"
    account_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    message_id: str
    trace_id: str
    at: datetime = moment(index=True)


class Deferral(SQLModel, table=True):
    """When a message that was deferred was first tried: the receipt key it would have had."""

    __tablename__ = "deferral"
    account_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    first_at: datetime = moment()


class Twin(SQLModel, table=True):
    """The key of a message as a reader would know it again, whichever mailbox brought it: one ticket for all copies."""

    __tablename__ = "twin"
    account_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    message_id: str
    ticket_id: str
    rank: int
    at: datetime = moment()


class Transaction(SQLModel, table=True):
    """The delivery log: one row a transaction, refused and deferred ones included."""

    __tablename__ = "transaction_log"
    __table_args__ = (
        Index("transaction_by_time", "account_id", "at"),
        Index("transaction_by_outcome", "outcome", "at"),
    )
    trace_id: str = Field(primary_key=True)
    account_id: str
    at: datetime = moment(index=True)
    outcome: str
    reason: str
    client_ip: str | None = None
    helo: str | None = None
    tls: str | None = None
    reverse_path: str | None = None
    recipients: list[str] = Field(sa_type=JSON)
    reply: str
    message_id: str | None = None


class Event(SQLModel, table=True):
    """A line of a trace. `earlier` holds the lines that led to it and were written with it, as event objects: eight rows with
    three indexes each for one message were most of what the database wrote.
    """

    __tablename__ = "event"
    __table_args__ = (Index("event_by_trace", "trace_id", "id"), Index("event_by_account", "account_id", "id"))
    id: str = Field(primary_key=True)
    account_id: str
    trace_id: str
    at: datetime = moment()
    stage: str
    outcome: str
    reason: str = ""
    detail: dict[str, Any] = Field(sa_type=JSON)
    earlier: list[dict[str, Any]] | None = Field(default=None, sa_type=JSON(none_as_null=True))
