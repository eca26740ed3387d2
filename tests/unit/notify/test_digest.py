"""The daily digest: in every language the same facts, and nothing of a stranger's that can be clicked."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from gateway.core.digest import HELD_FILE, Digest, Waiting
from gateway.core.message import Address
from gateway.core.notice import Rendered
from gateway.core.outcome import Reason
from gateway.core.tokens import Tokens
from gateway.notify.digest import compose_digest
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates

LANGUAGES = ("en", "de", "es", "fr", "pl", "ru", "zh")
REASONS = ("virus", "unverified", HELD_FILE)
TOKENS = Tokens([b"k" * 32])
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOSTILE = Waiting(
    "0" * 30 + "a1",
    datetime(2026, 11, 22, 7, 30, tzinfo=UTC),
    Address("x@evil.example", "Your bank\r\nBcc: y@z"),
    "Log in at https://evil.example/a or www.evil.example, \u202egpj.exe <b>now</b>, mail a＠b.example",
    "virus",
)
DIGEST = Digest(
    outbox_id="0" * 31 + "1",
    language="en",
    account_id="a",
    account="acme",
    account_domain="acme.gw.test",
    company_name="Acme",
    timezone="Europe/Berlin",
    recipient="ops@acme.test",
    reasons=tuple((reason, 2) for reason in REASONS),
    waiting=(HOSTILE,),
    more=5,
    created_at=NOW,
)


def written(digest: Digest = DIGEST) -> EmailMessage:
    return parsed(compose_digest(digest, tokens=TOKENS, templates=Templates(templates_folder())))


def parsed(rendered: Rendered) -> EmailMessage:
    message = email.message_from_bytes(rendered.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def bodies(message: EmailMessage) -> dict[str, str]:
    return {p.get_content_type(): p.get_content() for p in message.walk() if not p.is_multipart()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_tells_the_same_facts(language: str) -> None:
    message = written(replace(DIGEST, language=language))
    for body in bodies(message).values():
        for fact in ("Acme", "2026-11-22 08:30", HOSTILE.message_id, "Europe/Berlin", "6", "5"):
            assert fact in body, fact
        for command in ("quarantine list", "quarantine show ID", "attachment list --held"):
            assert f"gateway {command} --account acme" in body
    assert "6" in message["Subject"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_that_quarantines_has_words(language: str) -> None:
    known = [Reason.FORGED, Reason.UNVERIFIED, Reason.VIRUS, Reason.ATTACHMENT, Reason.BLOCKED, Reason.REJECTED_BY_RULE]
    known += [Reason.QUARANTINED_BY_RULE, Reason.UNSCANNABLE, Reason.INDETERMINATE, Reason.SCANNER_DOWN]
    source = (templates_folder() / "notifications" / "_parts" / f"digest-{language}.j2").read_text("utf-8")
    assert set(re.findall(r'^  "([a-z-]+)": ".+",$', source, re.MULTILINE)) == {
        *known,
        "ambiguous",
        "spam",
        "probation",
        HELD_FILE,
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_when_all_is_dealt_with_meanwhile_it_says_so(language: str) -> None:
    message = written(replace(DIGEST, language=language, reasons=(), waiting=(), more=0))
    assert all("gateway quarantine list" in body for body in bodies(message).values())


def test_a_reason_of_a_later_release_is_told_by_its_name() -> None:
    message = written(replace(DIGEST, reasons=(("brand-new", 1),), waiting=(), more=0))
    assert "- brand-new: 1" in bodies(message)["text/plain"]


def test_nothing_of_a_strangers_words_can_be_clicked_or_obeyed() -> None:
    for kind, body in bodies(written()).items():
        for alive in ("://", "www.", "evil.example", "x@evil", "a＠b", "\u202e", "<a ", "href"):
            assert alive not in body, alive
        assert ("<b>now" in body) == (kind == "text/plain")
        assert "https[:]//evil[.]example/a" in body


def test_it_goes_out_as_automatic_mail_of_the_accounts_own_domain() -> None:
    message = written()
    assert message["From"].addresses[0].addr_spec == "notice@acme.gw.test"
    assert message["To"].addresses[0].addr_spec == "ops@acme.test"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Bcc"] is None
    assert [p.get_content_type() for p in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    rendered = compose_digest(DIGEST, tokens=TOKENS, templates=Templates(templates_folder()))
    assert rendered.reverse_path is not None
    local, _, domain = rendered.reverse_path.partition("@")
    assert (TOKENS.read_bounce_local("a", local), domain) == (DIGEST.outbox_id, "acme.gw.test")
    again = compose_digest(DIGEST, tokens=TOKENS, templates=Templates(templates_folder()))
    assert again == rendered
