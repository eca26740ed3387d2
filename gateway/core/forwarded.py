"""A message that a rule sends on to somebody outside: what one outbox row of kind `forward` asks to be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from gateway.core.message import Address
from gateway.core.notice import NoticeMailbox

KIND = "forward"
"""Of outbox rows, and the folder of its templates."""


@dataclass(frozen=True, slots=True)
class ForwardedFile:
    """A file that goes along. `media_type` is what it is by its content, as far as that is harmless to say; `content_id` is
    set for an image that the HTML shows. `read` gives the octets: one file at a time is held.
    """

    name: str
    media_type: str
    content_id: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Everything the mail may say. `html` is sanitised, None where the text was taken; `left_out` are the names of files
    that stay here, with why; `received_at` is in the account's time zone.
    """

    outbox_id: str
    language: str
    account_id: str
    account: str
    account_domain: str
    company_name: str
    recipient: str
    mailbox: NoticeMailbox
    ticket_number: int
    author: Address
    subject: str
    received_at: datetime
    message_id: str | None
    text: str
    html: str | None
    files: Iterable[ForwardedFile]
    left_out: tuple[tuple[str, str], ...]
    created_at: datetime
