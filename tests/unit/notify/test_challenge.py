from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime

import dkim
import pytest

from gateway.core.challenges import word_of
from gateway.core.message import Address
from gateway.core.tokens import Tokens
from gateway.notify.challenge import ChallengeMail, compose_challenge
from gateway.notify.render import Templates
from gateway.notify.sign import new_key, sign
from gateway.parse import parse

TOKEN = Tokens([b"k" * 32]).challenge_token("1" * 32, "0" * 31 + "a")
MAIL = ChallengeMail(
    token=TOKEN,
    language="en",
    account_domain="acme.gw.example",
    company_name="Acme GmbH",
    author=Address("postmaster@gw.example", "Forwarding check"),
    mailbox=Address("support@acme.example", "Acme Support"),
    inbound="support@acme.gw.example",
    sent_at=datetime(2026, 11, 5, 10, 11, 12, tzinfo=UTC),
)


def test_it_carries_its_mark_wherever_a_forwarder_may_leave_it(templates: Templates) -> None:
    rendered = compose_challenge(MAIL, templates)
    message = email.message_from_bytes(rendered.content, policy=email.policy.default)
    mark = f"challenge.{TOKEN}"

    assert message["Message-ID"] == f"<{mark}@acme.gw.example>"
    assert message["X-Forwarding-Check"] == mark
    assert word_of(TOKEN) in message["Subject"]
    assert rendered.reverse_path == f"challenge+{TOKEN}@acme.gw.example"
    bodies = [p.get_content() for p in message.walk() if not p.is_multipart()]
    assert len(bodies) == 3
    assert all(mark in body for body in bodies)


def test_it_is_read_by_our_own_parser_without_a_defect_as_what_it_is(templates: Templates) -> None:
    message = parse(compose_challenge(MAIL, templates).content)
    assert (message.defects, message.automatic) == ((), "auto-submitted")
    assert [p.names for p in message.parts if p.is_attachment] == [("forwarding-check.txt",)]


def test_nobody_is_asked_to_answer_and_nobody_is_kept_from_bouncing_it(templates: Templates) -> None:
    """`X-Auto-Response-Suppress: All` would keep Exchange from telling us 5.7.520."""
    message = email.message_from_bytes(compose_challenge(MAIL, templates).content, policy=email.policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    suppressed = {w.strip() for w in message["X-Auto-Response-Suppress"].split(",")}
    assert suppressed == {"DR", "RN", "NRN", "OOF", "AutoReply"}
    assert message["Reply-To"] is None


def test_its_reverse_path_fits_into_a_local_part_and_srs_of_it_still_does(templates: Templates) -> None:
    """RFC 5321 section 4.5.3.1.1 allows 64 octets; many servers refuse more than that, some at SRS already."""
    local = str(compose_challenge(MAIL, templates).reverse_path).partition("@")[0]
    assert len(local) <= 48


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_person_reads_what_it_is_in_his_language(templates: Templates, language: str) -> None:
    page = compose_challenge(replace(MAIL, language=language), templates)
    text = parse(page.content).text
    assert page.template.startswith(f"challenge/{language}#")
    assert "Acme GmbH" in text
    assert "support@acme.gw.example" in text
    english = re.compile(r"\b(this|message|forward|check|you)\b")
    assert bool(english.search(text)) == (language == "en")


def test_names_of_any_kind_break_no_header(templates: Templates) -> None:
    hostile = Address("support@acme.example", 'Acme\r\nBcc: eve@evil.example "<x>"')
    content = compose_challenge(replace(MAIL, mailbox=hostile, company_name="A\r\nX: y"), templates).content
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert (message["Bcc"], message["X"]) == (None, None)


def test_its_signature_is_that_of_the_accounts_domain(templates: Templates) -> None:
    pem, record = new_key()
    signed = sign(
        compose_challenge(MAIL, templates).content, domain="acme.gw.example", selector="gw1", private_key_pem=pem
    )
    assert dkim.verify(signed, dnsfunc=lambda *_a, **_k: record.encode())
