"""What a returned challenge taught us about the server that forwards a mailbox, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Form(StrEnum):
    """What a forwarder makes of the reverse-path."""

    UNCHANGED = "unchanged"
    SRS0 = "srs0"
    SRS1 = "srs1"
    GMAIL_CAF = "gmail-caf"
    MICROSOFT_SRS = "microsoft-srs"
    VERP = "verp"
    REPLACED = "replaced"
    """By an address of its own that tells nothing of the one before."""
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Forwarder:
    """How one server forwards one mailbox to us; learnt from the challenge, never from other mail.

    `networks` are CIDR blocks its client addresses come from, `address` the one it had in the challenge. `provider` is set
    (`google`, `microsoft`, …) where these are shared by strangers: there the client proves nothing without `reverse_path`,
    whose SPF has to pass as well. `spf_domain` is the domain whose SPF passes for the client, empty for none.
    `reverse_path` is the part of the rewritten reverse-path that names this mailbox (for Gmail
    `user+caf_=local=domain@gmail.com` whole, for SRS `@domain`, ...), as `form` explains; `*` in it stands for what changes
    from mail to mail. `border` is the `by` host of the Received field in which it recorded the client it took the message
    from, empty where it records none (`*.domain` where a farm names each machine), and `trail` what the Received fields
    above that one say, topmost first (`host<client`, `~host` without a client). `keeps_return_path`: above the border
    stands a Return-Path with the reverse-path it took the message with. `adds` are the names (lower case) of header fields
    it puts on, of those that matter (List-*, Precedence, X-Original-*, Resent-*, X-Forwarded-*, X-MS-Exchange-*).
    """

    id: str
    name: str
    networks: tuple[str, ...]
    provider: str
    spf_domain: str
    form: Form
    reverse_path: str
    border: str
    arc_sealer: str
    dkim_domain: str
    adds: tuple[str, ...]
    keeps_author: bool
    keeps_subject: bool
    keeps_message_id: bool
    keeps_body: bool
    learnt_at: datetime
    address: str = ""
    trail: tuple[str, ...] = ()
    keeps_return_path: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """The mail sent to a mailbox's public address to see how it comes back. `message_id` is without brackets,
    `author` our address in its From, `reverse_path` `challenge+TOKEN@<account>.<domain>`.
    """

    id: str
    token: str
    mailbox_id: str
    mailbox: str
    author: str
    reverse_path: str
    subject: str
    message_id: str
    body_digest: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing the challenge showed, for people. `code` is stable (`exchange-forward`, `author-rewritten`, ...), `cure`
    says how to mend it and is empty where all is well.
    """

    code: str
    is_good: bool
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one returned challenge taught."""

    forwarder: Forwarder
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """A known forwarder that began to behave otherwise: `what` changed, with the value learnt and the one seen."""

    forwarder_id: str
    what: str
    before: str
    after: str
