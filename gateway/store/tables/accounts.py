"""Accounts and what an admin sets up in them. `account` is also the lock every numbering transaction takes first."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from gateway.store.tables.columns import moment

_NO = text("false")


def _unique_while_there(name: str, *names: str) -> Index:
    """What was removed stays for the tickets that name it, and gives its address free."""
    there = text("removed_at IS NULL")
    return Index(name, *names, unique=True, sqlite_where=there, postgresql_where=there)


class Account(SQLModel, table=True):
    """`acknowledged` counts the acknowledgements of the clock hour that began at `acknowledged_hour`. `arc_sealers` count for
    this account beside those of the configuration. `admins` are addresses that are told what waits for them, last at
    `digest_at`; what waits in quarantine is gone after `quarantine_days`. `shadow_id` is the PolicyCandidate that runs beside
    the live policy.
    """

    __tablename__ = "account"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    company_name: str
    language: str = "en"
    timezone: str = "UTC"
    listen_only: bool = False
    number_prefix: str = ""
    next_number: int = 1
    next_agent_number: int = 1
    turn: int = 0
    acknowledged_hour: datetime | None = moment(default=None, nullable=True)
    acknowledged: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    policy_version: int = 0
    arc_sealers: list[str] = Field(
        default_factory=list, sa_type=JSON, sa_column_kwargs={"server_default": text("'[]'")}
    )
    admins: list[str] = Field(default_factory=list, sa_type=JSON, sa_column_kwargs={"server_default": text("'[]'")})
    quarantine_days: int = Field(default=30, sa_column_kwargs={"server_default": "30"})
    digest_at: datetime | None = moment(default=None, nullable=True)
    shadow_id: str | None = None
    dkim_selector: str = ""
    dkim_key: bytes = b""
    created_at: datetime = moment()


class Domain(SQLModel, table=True):
    """A domain of an account's own whose MX points at us: any local part there is taken."""

    __tablename__ = "domain"
    domain: str = Field(primary_key=True)
    account_id: str = Field(index=True)


class MailboxRow(SQLModel, table=True):
    __tablename__ = "mailbox"
    __table_args__ = (
        _unique_while_there("mailbox_by_address", "address_key"),
        _unique_while_there("mailbox_by_inbound", "account_id", "inbound"),
    )
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    address: str
    address_key: str
    name: str
    inbound: str | None = None
    language: str | None = None
    team_id: str | None = None
    is_default: bool = False
    is_account_own: bool = False
    created_at: datetime = moment()
    removed_at: datetime | None = moment(default=None, nullable=True)


class Team(SQLModel, table=True):
    __tablename__ = "team"
    __table_args__ = (UniqueConstraint("account_id", "name"),)
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str


class Agent(SQLModel, table=True):
    __tablename__ = "agent"
    __table_args__ = (_unique_while_there("agent_by_address", "address_key"),)
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    number: int
    address: str
    address_key: str
    name: str
    language: str | None = None
    status: str = "available"
    created_at: datetime = moment()
    removed_at: datetime | None = moment(default=None, nullable=True)


class Membership(SQLModel, table=True):
    """An agent's place in a team; `last_turn` is the account's turn counter when this agent was last chosen in it, `manages`
    lets him publish the team's own rules.
    """

    __tablename__ = "membership"
    account_id: str = Field(primary_key=True)
    team_id: str = Field(primary_key=True)
    agent_id: str = Field(primary_key=True)
    last_turn: int = 0
    manages: bool = Field(default=False, sa_column_kwargs={"server_default": _NO})


class ContactRow(SQLModel, table=True):
    __tablename__ = "contact"
    __table_args__ = (UniqueConstraint("account_id", "address_key"),)
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    address: str
    address_key: str
    name: str = ""
    language: str | None = None
    company: str | None = None
    tags: list[str] = Field(default_factory=list, sa_type=JSON)
    created_at: datetime = moment()


class PolicyVersion(SQLModel, table=True):
    """A published policy: immutable. `probation`: past mail fared worse under it when it was published, and that was agreed
    to; `told_at`: when admins were told that mail waits because of that. `team`: whose manager published it, as rules of that
    team alone; empty for a whole document, None where the release before published it and only the note tells.
    """

    __tablename__ = "policy_version"
    account_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    text: str
    note: str = ""
    author: str = ""
    rolled_back_from: int | None = None
    created_at: datetime = moment()
    probation: bool = Field(default=False, sa_column_kwargs={"server_default": _NO})
    told_at: datetime | None = moment(default=None, nullable=True)
    team: str | None = None


class PolicyCandidate(SQLModel, table=True):
    """A policy that is not live. `purpose`: `shadow` (runs beside the live one without effect) or `later` (is published at
    `due_at`). `ended_at` and `result` tell how it ended, in a sentence. `since_version`: the version that was live when it was
    found out what a scheduled one would take away; None for those that an earlier release scheduled.
    """

    __tablename__ = "policy_candidate"
    __table_args__ = (Index("policy_candidate_by_due", "due_at"),)
    account_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    purpose: str
    text: str
    note: str = ""
    author: str = ""
    created_at: datetime = moment()
    due_at: datetime | None = moment(default=None, nullable=True)
    ended_at: datetime | None = moment(default=None, nullable=True)
    result: str = ""
    since_version: int | None = None


class ApiKey(SQLModel, table=True):
    """`digest` is the SHA-256 of the key: the key itself is shown once and kept nowhere. With `team_id` it writes nothing but
    that team's rules.
    """

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    account_id: str = Field(index=True)
    team_id: str | None = None
    scope: str
    digest: str = Field(unique=True)
    note: str = ""
    created_at: datetime = moment()
    revoked_at: datetime | None = moment(default=None, nullable=True)


class Change(SQLModel, table=True):
    """One row. Each admin change raises `number` in its own transaction; processes that see it move drop their caches.

    `secret_fingerprint` names the secret key the database was made with, `domain` what its accounts lie below, `blob_mark`
    the folder of its blobs: nodes with others must not serve.
    """

    __tablename__ = "change"
    id: int = Field(primary_key=True)
    number: int = 0
    secret_fingerprint: str = ""
    domain: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    blob_mark: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
