"""A notice with nothing special about it, and what turns it into a message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.message import Address
from gateway.core.notice import Notice, NoticeKind, NoticeMailbox
from gateway.core.tokens import Tokens
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    return Tokens([b"k" * 32])


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates(templates_folder())


@pytest.fixture(scope="session")
def notice() -> Notice:
    return Notice(
        outbox_id="0" * 31 + "a",
        kind=NoticeKind.NEW_TICKET,
        language="en",
        account_id="1" * 32,
        account="acme",
        account_domain="acme.gw.example",
        company_name="Acme GmbH",
        recipient=Address("ann@acme.example", "Ann Smith"),
        agent_number=3,
        mailbox=NoticeMailbox("support@acme.example", "Acme Support", "support"),
        ticket_id="2" * 32,
        ticket_number=1001,
        ticket_label="1001",
        ticket_subject="Printer on fire",
        ticket_state="open",
        ticket_priority="high",
        team="support",
        assignee="Ann Smith",
        author=Address("carol@customer.example", "Carol"),
        sender="verified",
        sender_reason="Signed by customer.example.",
        told_by="",
        told_from="",
        text="Hello,\n\nit burns.",
        attachments=(("invoice.pdf", "kept"), ("setup.exe", "stripped: a program")),
        thread=("first@customer.example", "second@customer.example"),
        created_at=datetime(2026, 11, 5, 10, 11, 12, tzinfo=UTC),
    )
