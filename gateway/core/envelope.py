"""What the SMTP transaction said (RFC 5321 section 3.3), with the content it carried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Client:
    """The SMTP client as the session knew it. `ip` is text without brackets; `tls` names the protocol or is None."""

    ip: str
    helo: str
    tls: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One transaction of one account.

    `reverse_path` is RFC5321.MailFrom without angle brackets, None for the null reverse-path `<>`.
    `recipients` are forward-paths in the order given. `content` is what followed DATA, dot-unstuffed,
    byte for byte. `source` names the driver: `smtp`, `receive`, `pull:<name>`. `refused` are the forward-paths of the
    same transaction that were not taken, each with its reason.
    """

    trace_id: str
    account: str
    source: str
    received_at: datetime
    client: Client | None
    reverse_path: str | None
    recipients: tuple[str, ...]
    smtputf8: bool
    content: bytes
    sha256: str
    refused: tuple[tuple[str, str], ...] = ()
