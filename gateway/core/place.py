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


AgentTeams = tuple[tuple[str, tuple[str, ...]], ...]
"""Canonical addresses of agents, with the names of the teams each is in, the first of them first."""


@dataclass(frozen=True, slots=True)
class Place:
    """The account a transaction is for, and within it the mailboxes (the first of them owns the ticket).

    `mailboxes` are those this transaction addresses, the owner first; `own_domains` are all domains whose addresses
    belong to the account (mailboxes' domains, domains of its own, its gateway domain): for authors there only DKIM
    proves. `arc_sealers` are domains whose ARC seals this account trusts, beside those of the configuration.

    `receiving_domains` are those of its own whose mail comes to us. `default_team` has what no team is named for;
    `other_teams` are the addresses of the account's other mailboxes with their teams, where these are not the default.
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
    receiving_domains: frozenset[str] = frozenset()
    default_team: str | None = None
    other_teams: tuple[tuple[str, str], ...] = ()
    agent_teams: AgentTeams = ()

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox that owns the ticket."""
        return self.mailboxes[0]

    def team_of(self, address: str) -> str | None:
        """The team that has what comes to a mailbox of the account, given by its canonical address."""
        here = {m.address: m.team for m in self.mailboxes}
        return here.get(address) or dict(self.other_teams).get(address) or self.default_team

    def team_with(self, agent: str, team: str | None) -> str | None:
        """The team that has what is given to an agent and would be `team`'s: that one where he is in it, else his first."""
        teams = dict(self.agent_teams).get(agent, ())
        return team if team in teams or not teams else teams[0]


class Evidence(StrEnum):
    """Why a ticket is a candidate for this message."""

    MESSAGE_ID = "message-id"
    ANSWER_ADDRESS = "answer-address"
    OPEN_TICKET = "open-ticket"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ticket this message may belong to. `is_participant`: the author's address is one of the ticket's participants.

    `OPEN_TICKET` is no evidence by itself: nothing in the message names the ticket, and only a policy's
    `join_open_ticket` makes it count. `closed_at` is None for a ticket that is not closed.
    """

    ticket_id: str
    number: int
    state: str
    team: str | None
    assignee: str | None
    evidence: Evidence
    is_participant: bool
    agent: str | None = None
    tags: tuple[str, ...] = ()
    last_activity: datetime | None = None
    closed_at: datetime | None = None


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

    `challenge` is the open challenge that came back with this message. `listed` are those of To and Cc, in canonical form,
    that are contacts of the account.
    """

    contact: Contact | None = None
    candidates: tuple[Candidate, ...] = ()
    bounce_of: str | None = None
    first_tried_at: datetime | None = None
    is_own_mail: bool = False
    challenge: Challenge | None = None
    listed: frozenset[str] = frozenset()
