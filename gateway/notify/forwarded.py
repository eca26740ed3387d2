"""A customer's message, sent on in the mailbox's name: his words and files, never his header."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from email.utils import format_datetime
from html import escape
from urllib.parse import quote

from gateway.core.forwarded import KIND, Forwarded, ForwardedFile
from gateway.core.message import Address
from gateway.core.notice import Rendered
from gateway.core.tokens import Tokens
from gateway.notify import headers
from gateway.notify.context import Context, shown
from gateway.notify.headers import one_line
from gateway.notify.identity import in_name_of
from gateway.notify.mime import alternative, multipart
from gateway.notify.render import Page, Templates

_SUBJECT_CHARS = 900
_NAME_CHARS = 150
_NAMES = 50
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 ._()+-]+")


def compose_forwarded(mail: Forwarded, *, tokens: Tokens, templates: Templates) -> Rendered:
    """The message, unsigned. Raises InvalidInput for an address that cannot be written as it stands, or a bad template, and
    what reading a file raises.
    """
    page = templates.render(KIND, mail.language, _context(mail))
    message_id = tokens.message_id(mail.account_id, mail.ticket_number, mail.outbox_id, mail.account_domain)
    words, body = _body(mail, page, message_id)
    fields = [*_fields(mail, page, message_id), ("MIME-Version", ["1.0"]), ("Content-Type", words)]
    head = b"".join(headers.field(name, value) for name, value in fields if value)
    reverse_path = f"{tokens.bounce_local(mail.account_id, mail.outbox_id)}@{mail.account_domain}"
    return Rendered(message_id, reverse_path, b"".join([head, b"\r\n", *body]), page.version)


def _fields(mail: Forwarded, page: Page, message_id: str) -> Iterator[tuple[str, list[str]]]:
    yield "Date", [format_datetime(mail.created_at)]
    yield "From", headers.mailbox(in_name_of(mail.mailbox, mail.account_domain))
    yield "To", headers.mailbox(Address(mail.recipient))
    yield "Reply-To", headers.mailbox(mail.author)
    # as it was: a template may add words, and cannot cut what is longer than a notice's subject
    yield (
        "Subject",
        headers.text(mail.subject if page.subject == one_line(mail.subject) else page.subject, _SUBJECT_CHARS),
    )
    yield "Message-ID", [f"<{message_id}>"]
    yield "References", headers.message_ids([mail.message_id] if mail.message_id else [])
    yield "Auto-Submitted", ["auto-generated"]
    yield "X-Auto-Response-Suppress", ["All"]


def _context(mail: Forwarded) -> Context:
    left_out = mail.left_out[:_NAMES]
    return {
        "company": one_line(mail.company_name),
        "mailbox_name": one_line(mail.mailbox.name),
        "mailbox_address": one_line(mail.mailbox.address),
        "author": shown(mail.author),
        "subject": one_line(mail.subject),
        "received": f"{mail.received_at:%Y-%m-%d %H:%M %Z}",
        "left_out": [[one_line(name, _NAME_CHARS), why] for name, why in left_out],
        "left_out_more": len(mail.left_out) - len(left_out),
    }


def _body(mail: Forwarded, page: Page, seed: str) -> tuple[list[str], list[bytes]]:
    """`multipart/mixed` of the letter and the files; the letter is `multipart/related` where its HTML shows images."""
    html = mail.html if mail.html is not None else f'<pre style="white-space:pre-wrap">{escape(mail.text)}</pre>'
    page_html = (
        f'<!doctype html>\n<html><head><meta charset="utf-8"></head>\n<body>\n{page.html}\n{html}\n</body></html>'
    )
    words, body = alternative(f"{page.text.rstrip()}\n\n{mail.text}", page_html, seed)
    letter = [_head(words), body]
    shown_in_it: list[list[bytes]] = []
    attached: list[list[bytes]] = []
    for file in mail.files:
        (shown_in_it if file.content_id else attached).append(_file(file))
    if shown_in_it:
        words, pieces = multipart("related", [letter, *shown_in_it], f"{seed} related")
        letter = [_head(words), *pieces]
    if attached:
        words, pieces = multipart("mixed", [letter, *attached], f"{seed} mixed")
        letter = [_head(words), *pieces]
    return words, letter[1:]


def _head(words: list[str]) -> bytes:
    return f"Content-Type: {' '.join(words)}\r\n\r\n".encode("ascii")


def _file(file: ForwardedFile) -> list[bytes]:
    """Always base64, encoded anew: what the customer's encoding hid between its lines does not go along."""
    how = "inline" if file.content_id else "attachment"
    fields = [f"Content-Type: {file.media_type}", "Content-Transfer-Encoding: base64", _disposition(how, file.name)]
    if file.content_id:
        fields.append(f"Content-ID: <{file.content_id}>")
    encoded = base64.encodebytes(file.read()).replace(b"\n", b"\r\n")
    return ["\r\n".join(fields).encode("ascii") + b"\r\n\r\n", encoded]


def _disposition(how: str, name: str) -> str:
    """The name as RFC 2231 writes it where it is not plain; one form only, so that no two readers see two names."""
    name = one_line(name, _NAME_CHARS).replace("/", "_").replace("\\", "_")
    if not name:
        return f"Content-Disposition: {how}"
    if _PLAIN_NAME.fullmatch(name):
        return f'Content-Disposition: {how};\r\n filename="{name}"'
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"Content-Disposition: {how};\r\n filename*=utf-8''{encoded}"
