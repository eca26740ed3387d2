"""Where a message belongs, and what we remember about those who wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.core.forwarder import Challenge, Forwarder


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A company address that forwards to us. `inbound` is the local part that mail for it arrives at; None for none.
    `forwarders` are the servers it was learnt to come through.
    """

    id: str
    address: str
    name: str
    inbound: str | None
    language: str | None
    team: str | None
    is_default: bool
    forwarders: tuple[Forwarder, ...] = ()

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class Place:
    """The account a transaction is for, and within it the mailboxes (the first of them owns the ticket).

    `mailboxes` are those this transaction addresses, the owner first; `own_domains` are all domains whose addresses
    belong to the account (mailboxes' domains, domains of its own, its gateway domain): for authors there only DKIM
    proves. `arc_sealers` are domains whose ARC seals this account trusts, beside those of the configuration.
    """

    account_id: str
    account: str
    account_domain: str
    company_name: str
    language: str
    timezone: str
    mailboxes: tuple[Mailbox, ...]
    own_domains: frozenset[str]
    own_addresses: frozenset[str]
    agent_addresses: frozenset[str]
    policy_version: int
    exempt: bool = False
    arc_sealers: frozenset[str] = frozenset()

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox that owns the ticket."""
        return self.mailboxes[0]


class Evidence(StrEnum):
    """Why a ticket is a candidate for this message."""

    MESSAGE_ID = "message-id"
    ANSWER_ADDRESS = "answer-address"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ticket this message may belong to. `is_participant`: the author's address is one of the ticket's participants."""

    ticket_id: str
    number: int
    state: str
    team: str | None
    assignee: str | None
    evidence: Evidence
    is_participant: bool
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """A person the account knows."""

    id: str
    address: str
    name: str
    language: str | None
    company: str | None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What the store remembers that a decision may need. `bounce_of` is the outbox row a delivery report answers;
    `is_own_mail` says that the Message-ID is one of ours: a notification that came back.

    `challenge` is the open challenge that came back with this message.
    """

    contact: Contact | None = None
    candidates: tuple[Candidate, ...] = ()
    bounce_of: str | None = None
    first_tried_at: datetime | None = None
    is_own_mail: bool = False
    challenge: Challenge | None = None
