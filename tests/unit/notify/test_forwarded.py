"""A forwarded message as bytes: whatever the customer called his files, the header is ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.forwarded import KIND, Forwarded, ForwardedFile
from gateway.core.message import Address
from gateway.core.notice import NoticeMailbox
from gateway.core.tokens import Tokens
from gateway.notify.folder import templates_folder
from gateway.notify.forwarded import compose_forwarded
from gateway.notify.render import Templates

TEMPLATES = Templates(templates_folder())
TOKENS = Tokens([b"k" * 32])
MAIL = Forwarded(
    outbox_id="01a20274da4378feab5f558e38f0883f", language="en", account_id="a" * 32, account="acme",
    account_domain="acme.gw.example", company_name="Acme", recipient="boss@partner.example",
    mailbox=NoticeMailbox("support@acme.example", "Acme Support", "support"), ticket_number=7,
    author=Address("carol@customer.example", "Carol"), subject="Pump",
    received_at=datetime(2026, 5, 4, 9, 30, tzinfo=UTC), message_id="1@customer.example", text="It leaks.\n", html=None,
    files=(), left_out=(), created_at=datetime(2026, 5, 4, 9, 31, tzinfo=UTC),
)  # fmt: skip


def composed(mail: Forwarded) -> EmailMessage:
    rendered = compose_forwarded(mail, tokens=TOKENS, templates=TEMPLATES)
    assert rendered.content.count(b"\n") == rendered.content.count(b"\r\n") == rendered.content.count(b"\r")
    assert all(len(line) <= 998 for line in rendered.content.split(b"\r\n"))
    message = message_from_bytes(rendered.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def file(
    name: str, content: bytes = b"x", media_type: str = "application/octet-stream", cid: str = ""
) -> ForwardedFile:
    return ForwardedFile(name, media_type, cid, lambda: content)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=400), st.text(max_size=80), st.binary(max_size=300))
def test_nothing_a_customer_wrote_reaches_the_header_but_washed(
    name: str, subject: str, author: str, octets: bytes
) -> None:
    mail = replace(MAIL, subject=subject, author=Address("carol@customer.example", author), files=[file(name, octets)])
    message = composed(mail)
    assert set(message.keys()) <= {
        "Date", "From", "To", "Reply-To", "Subject", "Message-ID", "References", "Auto-Submitted",
        "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
    }  # fmt: skip
    attached = list(message.iter_attachments())
    assert [a.get_content() for a in attached] == [octets]
    assert "/" not in (attached[0].get_filename() or "")


@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "pl", "ru", "zh"])
def test_every_language_says_who_wrote_when_and_where_to_and_what_stayed(language: str) -> None:
    left_out = tuple((f"{n}.exe", "stripped") for n in range(60))
    message = composed(replace(MAIL, language=language, left_out=left_out))
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    for said in ("carol@customer.example", "2026-05-04 09:30 UTC", "support@acme.example", "49.exe", "10", "It leaks."):
        assert said in text
        assert said in html
    assert "stripped" not in text
    assert TEMPLATES.render(KIND, language, _values()).version.startswith(f"forward/{language}#")


def _values() -> dict[str, object]:
    names = ("company", "mailbox_name", "mailbox_address", "author", "subject", "received")
    return dict.fromkeys(names, "x") | {"left_out": [], "left_out_more": 0}


def test_a_name_in_other_scripts_is_written_once() -> None:
    message = composed(replace(MAIL, files=[file("Счёт \u202egpj.exe")]))
    part = next(message.iter_attachments())
    assert part.get_filename() == "Счёт gpj.exe"
    assert "name=" not in str(part["Content-Type"])


def test_the_same_row_gives_the_same_bytes() -> None:
    mail = replace(MAIL, files=[file("a.pdf"), file("b.png", cid="b@x", media_type="image/png")])
    one, other = (compose_forwarded(mail, tokens=TOKENS, templates=TEMPLATES) for _ in range(2))
    assert one == other
    assert one.reverse_path is not None
    assert one.reverse_path.endswith("@acme.gw.example")


def test_the_text_stands_in_the_html_where_there_is_no_other() -> None:
    html = composed(replace(MAIL, text="1 < 2 <script>")).get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "1 &lt; 2 &lt;script&gt;" in html
