"""How a transaction ended, and why. `Reason` is closed: each has a row in `smtp/replies.py` and is kept with its event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Stable strings: they stand in the delivery log and in outside programs' filters. Never rename one."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    # kept, but not as a ticket
    IGNORED_BY_RULE = "ignored-by-rule"
    SENDERS_CONTACTS_ONLY = "senders-contacts-only"
    ANSWERS_ONLY = "answers-only"
    NEW_ONLY = "new-only"
    DELIVERY_REPORT = "delivery-report"
    OWN_MAIL = "own-mail"
    CHALLENGE_RETURNED = "challenge-returned"
    CHALLENGE_REPORT = "challenge-report"
    FORWARDING_CONFIRMATION = "forwarding-confirmation"
    # refused (or quarantined, where a forwarder brought it)
    FORGED = "forged"
    UNVERIFIED = "unverified"
    VIRUS = "virus"
    ATTACHMENT = "attachment"
    BLOCKED = "blocked"
    SPAM = "spam"
    REJECTED_BY_RULE = "rejected-by-rule"
    QUARANTINED_BY_RULE = "quarantined-by-rule"
    PROBATION = "probation"
    UNSCANNABLE = "unscannable"
    AMBIGUOUS = "ambiguous"
    INDETERMINATE = "indeterminate"
    MAIL_LOOP = "mail-loop"
    # parked
    CRASHED = "crashed"
    TOO_COMPLEX = "too-complex"
    ENDED_PROCESSES = "ended-processes"
    # deferred
    STORE_UNAVAILABLE = "store-unavailable"
    STORAGE_FULL = "storage-full"
    SCANNER_DOWN = "scanner-down"
    DNS_UNAVAILABLE = "dns-unavailable"
    INTERNAL = "internal"
    NO_ACCOUNTS = "no-accounts"
    # SMTP sessions
    UNKNOWN_RECIPIENT = "unknown-recipient"
    RELAYING_DENIED = "relaying-denied"
    BAD_RECIPIENT = "bad-recipient"
    BAD_SENDER = "bad-sender"
    SMTPUTF8_NEEDED = "smtputf8-needed"
    SECOND_ACCOUNT = "second-account"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    TOO_BIG = "too-big"
    BAD_FRAMING = "bad-framing"
    BAD_SEQUENCE = "bad-sequence"
    BAD_SYNTAX = "bad-syntax"
    BAD_PARAMETER = "bad-parameter"
    UNKNOWN_COMMAND = "unknown-command"
    NOT_IMPLEMENTED = "not-implemented"
    SHUTTING_DOWN = "shutting-down"
    CLIENT_GONE = "client-gone"
    TOO_MANY_CONNECTIONS = "too-many-connections"
    OVER_CLIENT_RATE = "over-client-rate"
    OVER_ACCOUNT_RATE = "over-account-rate"
    TOO_MANY_ERRORS = "too-many-errors"
    HARVESTING = "harvesting"
    IDLE = "idle"
    TOO_SLOW = "too-slow"
    SESSION_TOO_LONG = "session-too-long"
    EARLY_TALKER = "early-talker"
    BARE_LINE_FEED = "bare-line-feed"
    WRONG_PROTOCOL = "wrong-protocol"
    BAD_PROXY_HEADER = "bad-proxy-header"
    TLS_REQUIRED = "tls-required"
    TLS_UNAVAILABLE = "tls-unavailable"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Kept: the message row is committed. `duplicate` when an earlier transaction already kept the same bytes."""

    trace_id: str
    message_id: str
    ticket: int | None = None
    duplicate: bool = False
    reason: Reason = Reason.ACCEPTED


@dataclass(frozen=True, slots=True)
class Refused:
    """Not kept, for a reason of the sender's. `text` is shown in the SMTP reply: ASCII, one line."""

    reason: Reason
    text: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not kept, for a reason that passes: the client comes again."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Parked:
    """Kept, byte-exact, for a person to look at: this message broke our code or its limits."""

    reason: Reason
    message_id: str


Outcome = Accepted | Refused | Deferred | Parked
