"""The keys that tell a retry from a new message, and copies of one message from different messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta

from gateway.core.addresses import canonical
from gateway.core.message import ParsedMessage
from gateway.core.place import Mailbox

RECEIPT_AGE = timedelta(days=14)
TWIN_AGE = timedelta(hours=24)


def receipt_key(recipients: Iterable[str], sha256: str) -> str:
    """Sorted recipients and the content. The reverse-path is no part of it: SRS and BATV change it with every attempt."""
    return _digest(*sorted(canonical(r) for r in recipients), sha256)


def twin_key(message: ParsedMessage | None) -> str | None:
    """Message-ID, author and the digest of all decoded parts; None where a message lacks one of them.

    Strangers choose Message-IDs: alone they would let anybody pre-claim somebody's next message.
    """
    if message is None or not message.message_id or message.author is None:
        return None
    return _digest(message.message_id, canonical(message.author.address), message.body_digest)


def twin_rank(mailbox: Mailbox, message: ParsedMessage) -> int:
    """Where a mailbox stands in To, then Cc: the lowest owns the ticket, whichever copy came first."""
    shown = [canonical(a.address) for a in (*message.to, *message.cc)]
    return shown.index(mailbox.address) if mailbox.address in shown else len(shown)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
