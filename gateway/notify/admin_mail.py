"""What all mail to admins has in common. Strangers wrote some of its words: nothing of those can be clicked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.core.digest import Waiting
from gateway.core.message import Address
from gateway.core.notice import Rendered
from gateway.core.tokens import Tokens
from gateway.notify import headers
from gateway.notify.context import Context
from gateway.notify.headers import one_line
from gateway.notify.mime import alternative
from gateway.notify.render import Page, Templates

_AUTHOR_CHARS = 80
_SUBJECT_CHARS = 100
_DOT_INSIDE = re.compile(r"(?<=\S)[.\u2024\u3002\uff0e\uff61](?=\S)")
_SCHEME = re.compile(r":(?=\S)")
_AT = re.compile(r"[@\ufe6b\uff20]")


class AdminMail(Protocol):
    """One mail to one admin of an account."""

    @property
    def outbox_id(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def account_domain(self) -> str: ...
    @property
    def company_name(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


def compose_for_admin(kind: str, mail: AdminMail, values: Context, *, tokens: Tokens, templates: Templates) -> Rendered:
    """The message, unsigned. Raises InvalidInput for an address that cannot be written as it stands, or a bad template."""
    page = templates.render(kind, mail.language, values)
    message_id = tokens.message_id(mail.account_id, 0, mail.outbox_id, mail.account_domain)
    content_type, body = alternative(page.text, page.html, message_id)
    fields = [*_fields(mail, page, message_id), ("MIME-Version", ["1.0"]), ("Content-Type", content_type)]
    head = b"".join(headers.field(name, words) for name, words in fields)
    reverse_path = f"{tokens.bounce_local(mail.account_id, mail.outbox_id)}@{mail.account_domain}"
    return Rendered(message_id, reverse_path, head + b"\r\n" + body, page.version)


def _fields(mail: AdminMail, page: Page, message_id: str) -> Iterator[tuple[str, list[str]]]:
    yield "Date", [format_datetime(mail.created_at)]
    yield "From", headers.mailbox(Address(f"notice@{mail.account_domain}", mail.company_name))
    yield "To", headers.mailbox(Address(mail.recipient))
    yield "Subject", headers.text(page.subject)
    yield "Message-ID", [f"<{message_id}>"]
    yield "Auto-Submitted", ["auto-generated"]
    yield "X-Auto-Response-Suppress", ["All"]


def zone_of(name: str) -> ZoneInfo:
    """UTC where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def described(waiting: Waiting, zone: ZoneInfo) -> list[str]:
    """Since when, author, subject."""
    author = waiting.author
    name = f"{author.name} <{author.address}>" if author.name and author.address else author.address or author.name
    return [local(waiting.since, zone), dead(name, _AUTHOR_CHARS), dead(waiting.subject, _SUBJECT_CHARS)]


def dead(text: str, limit: int) -> str:
    """One line that no mail program makes a link of: they guess at `www.x.y`, at addresses and at anything with `://`."""
    shown = _DOT_INSIDE.sub("[.]", one_line(text, limit))
    return _SCHEME.sub("[:]", _AT.sub("[at]", shown))
