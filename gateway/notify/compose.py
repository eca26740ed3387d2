"""A notice as an RFC 5322 message: the one gate for all outgoing mail."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import format_datetime

from gateway.core.addresses import BadAddress, normal_domain
from gateway.core.errors import InvalidInput
from gateway.core.message import Address
from gateway.core.notice import Notice, Rendered
from gateway.core.tokens import Tokens
from gateway.notify import headers
from gateway.notify.context import context
from gateway.notify.identity import identity
from gateway.notify.mime import alternative
from gateway.notify.render import Page, Templates


def compose(notice: Notice, *, tokens: Tokens, templates: Templates) -> Rendered:
    """The message for `notice`, unsigned. The same notice gives the same bytes, the same Message-ID above all.

    Raises InvalidInput for an address that cannot be written as it stands, and for a template that fails.
    """
    domain = _domain(notice)
    page = templates.render(notice.template or notice.kind, notice.language, context(notice))
    message_id = tokens.message_id(notice.account_id, notice.ticket_number, notice.outbox_id, domain)
    content_type, body = alternative(page.text, page.html, message_id)
    fields = [*_fields(notice, page, message_id, tokens), ("MIME-Version", ["1.0"]), ("Content-Type", content_type)]
    head = b"".join(headers.field(name, words) for name, words in fields if words)
    return Rendered(message_id, _reverse_path(notice, domain, tokens), head + b"\r\n" + body, page.version)


def _fields(notice: Notice, page: Page, message_id: str, tokens: Tokens) -> Iterator[tuple[str, list[str]]]:
    who = identity(notice, tokens=tokens)
    references = headers.message_ids(notice.thread)
    yield "Date", [format_datetime(notice.created_at)]
    yield "From", headers.mailbox(who.sender)
    yield "To", headers.mailbox(_recipient(notice))
    yield "Reply-To", headers.mailbox(who.reply_to)
    yield "Subject", headers.text(page.subject)
    yield "Message-ID", [f"<{message_id}>"]
    yield "In-Reply-To", references[-1:]
    yield "References", references
    # RFC 3834 section 5: a reply to one person's mail, or something we began ourselves. No Precedence: it is no standard.
    yield "Auto-Submitted", ["auto-replied" if notice.kind.to_customer else "auto-generated"]
    yield "X-Auto-Response-Suppress", ["All"]


def _recipient(notice: Notice) -> Address:
    """A customer's display name is what a stranger wrote, and the acknowledgement repeats nothing of that."""
    return Address(notice.recipient.address) if notice.kind.to_customer else notice.recipient


def _reverse_path(notice: Notice, domain: str, tokens: Tokens) -> str | None:
    if notice.kind.to_customer:
        return None
    return f"{tokens.bounce_local(notice.account_id, notice.outbox_id)}@{domain}"


def _domain(notice: Notice) -> str:
    try:
        return normal_domain(notice.account_domain)
    except BadAddress as error:
        raise InvalidInput(f"the domain of account {notice.account!r} cannot be written: {error}") from error
