"""What the policy made of a message: pure data, and nothing has happened yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.core.envelope import Client
from gateway.core.message import Address, ParsedMessage
from gateway.core.outcome import Reason
from gateway.core.place import Context, Place
from gateway.core.reports import AuthReport, Level, ScanReport, Sender


@dataclass(frozen=True, slots=True)
class EnvelopeFacts:
    """The envelope without its content; what a stored message remembers of its transaction."""

    trace_id: str
    source: str
    received_at: datetime
    client: Client | None
    reverse_path: str | None
    recipients: tuple[str, ...]
    smtputf8: bool
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Told:
    """Another author than From's, by the word of a header field: `field` is its name, `because` why it is believed
    (`author_from 1`, or which forwarder). `written` is the author of From, `sender`, `level` and `by` what was found of him.
    """

    field: str
    because: str
    written: Address
    sender: Sender
    level: Level
    by: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a condition may read. Where `told` is set, `message.author` is whom that field names and `auth.sender`
    unverified: a machine or a rewriting forwarder wrote From. `auth.results` are what was found, of From, in every case.
    `body` is which of the message's bodies was taken, `html` or `text`; `detected_language` what its words were found to be
    in, empty where nobody asked or they are too few.
    """

    envelope: EnvelopeFacts
    message: ParsedMessage
    place: Place
    auth: AuthReport
    scan: ScanReport
    context: Context
    now: datetime
    told: Told | None = None
    body: str = "html"
    detected_language: str = ""


class Disposition(StrEnum):
    ACCEPT = "accept"
    IGNORE = "ignore"
    QUARANTINE = "quarantine"
    REJECT = "reject"
    DEFER = "defer"


class Kind(StrEnum):
    """What sort of mail this is, for rules' `kind`."""

    NEW = "new"
    ANSWER = "answer"
    AUTOMATIC = "automatic"
    BOUNCE = "bounce"
    LIST = "list"


class TicketChoice(StrEnum):
    NEW = "new"
    JOIN = "join"
    NOTE = "note"
    NONE = "none"


class PartDisposition(StrEnum):
    KEPT = "kept"
    STRIPPED = "stripped"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class PartDecision:
    """What becomes of one leaf, and why (empty when kept)."""

    n: int
    disposition: PartDisposition
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One condition of a rule, the value it saw, and whether it held."""

    condition: str
    expected: str
    saw: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that matched. `already_decided` maps an action it lost to the rule that won it (`team: finance`), `withheld` one
    that is not carried out to the reason.
    """

    rule: str
    conditions: tuple[ConditionTrace, ...]
    effects: tuple[str, ...] = ()
    already_decided: tuple[tuple[str, str], ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """To a team, unassigned."""

    team: str
    reassign: bool = False


@dataclass(frozen=True, slots=True)
class Assign:
    """To one agent (`agent`), or by `strategy` to one of the `teams`' agents; where none of them can get mail, as `otherwise`
    says.
    """

    agent: str | None = None
    teams: tuple[str, ...] = ()
    strategy: str = "least-open"
    last_agent_first: bool = False
    reassign: bool = False
    otherwise: Assign | None = None


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket of its own, whichever one the message belongs to."""

    new_ticket: bool = True


@dataclass(frozen=True, slots=True)
class ToMailbox:
    """The ticket belongs to that mailbox of the account."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Note:
    """An internal note on the ticket; `rule` wrote it."""

    note: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Set:
    """Fields of the ticket: `priority`, `state`, `language`, or `fields.<name>`."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Tag:
    tag: str


@dataclass(frozen=True, slots=True)
class Notify:
    """A notice to addresses, to `assignee`, or to `team:<name>`; `only` replaces the usual notices. `template` empty for
    the one that what happened has.
    """

    to: tuple[str, ...]
    only: bool = False
    template: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """The message itself to an address outside, as a new message in the mailbox's name."""

    address: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Confirm a new ticket to its proven author; `template` None for the account's usual one."""

    template: str | None = None


Effect = Route | Assign | NewTicket | ToMailbox | Note | Set | Tag | Notify | Forward | Acknowledge


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` explains the disposition; `text` goes into the SMTP reply of a rejection.

    `silence` says why the author gets no acknowledgement, empty when one is due. `participants` are those of To and Cc
    who take part in the ticket from now on.
    """

    disposition: Disposition
    reason: Reason
    text: str
    kind: Kind
    ticket: TicketChoice
    join: str | None
    parts: tuple[PartDecision, ...]
    hits: tuple[Hit, ...]
    effects: tuple[Effect, ...]
    policy_version: int
    silence: str = ""
    participants: tuple[Address, ...] = ()
