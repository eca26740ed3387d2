"""The daily digest as a message. Strangers wrote half of its words: nothing of those can be clicked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import format_datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.core.digest import KIND, Digest, Waiting
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


def compose_digest(digest: Digest, *, tokens: Tokens, templates: Templates) -> Rendered:
    """The message, unsigned. Raises InvalidInput for an address that cannot be written as it stands, or a bad template."""
    page = templates.render(KIND, digest.language, _context(digest))
    message_id = tokens.message_id(digest.account_id, 0, digest.outbox_id, digest.account_domain)
    content_type, body = alternative(page.text, page.html, message_id)
    fields = [*_fields(digest, page, message_id), ("MIME-Version", ["1.0"]), ("Content-Type", content_type)]
    head = b"".join(headers.field(name, words) for name, words in fields)
    reverse_path = f"{tokens.bounce_local(digest.account_id, digest.outbox_id)}@{digest.account_domain}"
    return Rendered(message_id, reverse_path, head + b"\r\n" + body, page.version)


def _fields(digest: Digest, page: Page, message_id: str) -> Iterator[tuple[str, list[str]]]:
    yield "Date", [format_datetime(digest.created_at)]
    yield "From", headers.mailbox(Address(f"notice@{digest.account_domain}", digest.company_name))
    yield "To", headers.mailbox(Address(digest.recipient))
    yield "Subject", headers.text(page.subject)
    yield "Message-ID", [f"<{message_id}>"]
    yield "Auto-Submitted", ["auto-generated"]
    yield "X-Auto-Response-Suppress", ["All"]


def _context(digest: Digest) -> Context:
    zone = _zone(digest.timezone)
    return {
        "company": one_line(digest.company_name),
        "account": one_line(digest.account),
        "total": sum(n for _, n in digest.reasons),
        "reasons": [[reason, str(n)] for reason, n in digest.reasons],
        "lines": [_line(w, zone) for w in digest.waiting],
        "more": digest.more,
        "timezone": one_line(zone.key),
    }


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _line(waiting: Waiting, zone: ZoneInfo) -> list[str]:
    """Since, author, subject, reason, id."""
    author = waiting.author
    name = f"{author.name} <{author.address}>" if author.name and author.address else author.address or author.name
    since = f"{waiting.since.astimezone(zone):%Y-%m-%d %H:%M}"
    return [
        since, _dead(name, _AUTHOR_CHARS), _dead(waiting.subject, _SUBJECT_CHARS), waiting.reason, waiting.message_id,
    ]  # fmt: skip


def _dead(text: str, limit: int) -> str:
    """One line that no mail program makes a link of: they guess at `www.x.y`, at addresses and at anything with `://`."""
    shown = _DOT_INSIDE.sub("[.]", one_line(text, limit))
    return _SCHEME.sub("[:]", _AT.sub("[at]", shown))
