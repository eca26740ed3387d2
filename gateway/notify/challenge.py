"""The forwarding challenge: a mail to a mailbox's public address, to see which way it comes back and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from gateway.core.challenges import FIELD, LOCAL, MARK, word_of
from gateway.core.message import Address
from gateway.core.notice import Rendered
from gateway.notify import headers
from gateway.notify.context import Context
from gateway.notify.headers import one_line
from gateway.notify.mime import with_file
from gateway.notify.render import Page, Templates

KIND = "challenge"
FILE_NAME = "forwarding-check.txt"


@dataclass(frozen=True, slots=True)
class ChallengeMail:
    """What a challenge is made of. `mailbox` is the public address it goes to, `author` ours at the gateway's domain,
    `inbound` the address the mailbox should forward to.
    """

    token: str
    language: str
    account_domain: str
    company_name: str
    author: Address
    mailbox: Address
    inbound: str
    sent_at: datetime


def compose_challenge(mail: ChallengeMail, templates: Templates) -> Rendered:
    """The message, unsigned. Raises InvalidInput for an address that cannot be written as it stands, or a bad template."""
    message_id = f"{MARK}{mail.token}@{mail.account_domain}"
    page = templates.render(KIND, mail.language, _context(mail))
    # a file, because some servers take files off what they forward, and the check has to see that
    file = f"{page.subject}\n{mail.mailbox.address}\n{MARK}{mail.token}\n"
    content_type, body = with_file(page.text, page.html, FILE_NAME, file, message_id)
    fields = [*_fields(mail, page, message_id), ("MIME-Version", ["1.0"]), ("Content-Type", content_type)]
    head = b"".join(headers.field(name, words) for name, words in fields)
    reverse_path = f"{LOCAL}{mail.token}@{mail.account_domain}"
    return Rendered(message_id, reverse_path, head + b"\r\n" + body, page.version)


def _fields(mail: ChallengeMail, page: Page, message_id: str) -> Iterator[tuple[str, list[str]]]:
    yield "Date", [format_datetime(mail.sent_at)]
    yield "From", headers.mailbox(mail.author)
    yield "To", headers.mailbox(mail.mailbox)
    yield "Subject", headers.text(page.subject)
    yield "Message-ID", [f"<{message_id}>"]
    yield FIELD, [f"{MARK}{mail.token}"]
    yield "Auto-Submitted", ["auto-generated"]
    # not `All`, as in notifications: that keeps Exchange from sending the delivery report we want to read (MS-OXCMAIL)
    yield "X-Auto-Response-Suppress", ["DR,", "RN,", "NRN,", "OOF,", "AutoReply"]


def _context(mail: ChallengeMail) -> Context:
    return {
        "company": one_line(mail.company_name),
        "mailbox_name": one_line(mail.mailbox.name),
        "mailbox_address": one_line(mail.mailbox.address),
        "inbound": one_line(mail.inbound),
        "gateway": one_line(mail.author.domain),
        "mark": f"{MARK}{mail.token}",
        "word": word_of(mail.token),
    }
