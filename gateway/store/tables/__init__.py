"""All tables, by aggregate."""

from gateway.store.tables.accounts import (
    Account,
    Agent,
    ApiKey,
    Change,
    ContactRow,
    Domain,
    MailboxRow,
    Membership,
    PolicyCandidate,
    PolicyVersion,
    Team,
)
from gateway.store.tables.forwarders import ChallengeRow, Confirmation, ForwarderRow
from gateway.store.tables.jobs import JobRow
from gateway.store.tables.mail import Deferral, Event, MessageRow, Receipt, Transaction, Twin
from gateway.store.tables.tickets import Outbox, Participant, Ticket

__all__ = [
    "Account",
    "Agent",
    "ApiKey",
    "ChallengeRow",
    "Change",
    "Confirmation",
    "ContactRow",
    "Deferral",
    "Domain",
    "Event",
    "ForwarderRow",
    "JobRow",
    "MailboxRow",
    "Membership",
    "MessageRow",
    "Outbox",
    "Participant",
    "PolicyCandidate",
    "PolicyVersion",
    "Receipt",
    "Team",
    "Ticket",
    "Transaction",
    "Twin",
]
