"""What a challenge that came back is worth, and what mail is never decided by its looks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.decision import Disposition, Facts
from gateway.core.forwarder import Challenge, Form, Forwarder
from gateway.core.message import Address
from gateway.core.outcome import Reason
from gateway.core.reports import AuthResult, Level, Path, Sender
from gateway.policy.challenges import why_not_learnt
from tests.unit.policy.shapes import AUTH, ENVELOPE, MESSAGE, NOW, facts, judged

TOKEN = "a" * 37
CHALLENGE = Challenge(
    id="c1", token=TOKEN, mailbox_id="m1", mailbox="support@acme.example", author="postmaster@gw.example",
    reverse_path=f"challenge+{TOKEN}@acme.gw.example", subject="Forwarding check AAAAA-AAAAA",
    message_id=f"challenge.{TOKEN}@acme.gw.example", body_digest="1" * 64, sent_at=NOW,
)  # fmt: skip
FORWARDER = Forwarder(
    id="f1", name="mail.acme.example", networks=("192.0.2.0/24",), provider="", spf_domain="", form=Form.UNCHANGED,
    reverse_path="", border="", arc_sealer="", dkim_domain="", adds=(), keeps_author=True, keeps_subject=True,
    keeps_message_id=True, keeps_body=True, learnt_at=NOW,
)  # fmt: skip
CHANGED = replace(FORWARDER, keeps_subject=False)
NEW = replace(FORWARDER, keeps_author=False, keeps_subject=False, keeps_body=False, keeps_message_id=False)
SHARED = replace(NEW, provider="microsoft")
UNPROVEN = replace(AUTH, sender=Sender.UNVERIFIED, level=Level.NONE, by="", path=Path.UNKNOWN)
STRANGER = {"message": replace(MESSAGE, author=Address("eve@evil.example"))}
OURS = (AuthResult("dkim", "pass", (("header.d", "acme.gw.example"),)),)
SPF = (AuthResult("spf", "pass", (("smtp.mailfrom", "x@acme.example"),)),)
VERIFIED = replace(UNPROVEN, sender=Sender.VERIFIED)
WHOLE = replace(MESSAGE, message_id=CHALLENGE.message_id)
OF_MAILBOX = replace(MESSAGE, author=Address("support@acme.example"))


def came(**values: Any) -> Facts:
    return replace(facts(), **({"auth": UNPROVEN} | STRANGER | values))


@pytest.mark.parametrize(
    ("seen", "forwarder"),
    [
        pytest.param(came(message=WHOLE), FORWARDER, id="all of it came"),
        pytest.param(came(message=WHOLE, auth=replace(UNPROVEN, results=OURS)), CHANGED, id="our signature holds"),
        pytest.param(
            came(auth=replace(UNPROVEN, client_vouched=True)), CHANGED, id="the domain vouches for the client"
        ),
        pytest.param(came(auth=replace(UNPROVEN, path=Path.FORWARDER)), NEW, id="by the forwarder already known"),
        pytest.param(came(message=OF_MAILBOX, auth=VERIFIED), SHARED, id="the mailbox's own address, proven"),
        pytest.param(
            came(auth=replace(UNPROVEN, results=SPF), envelope=replace(ENVELOPE, reverse_path="x@mx.acme.example")),
            SHARED,
            id="a reverse-path of the mailbox's domain, proven",
        ),
    ],
)
def test_what_proves_its_way_is_learnt(seen: Facts, forwarder: Forwarder) -> None:
    assert why_not_learnt(CHALLENGE, seen, forwarder) == ""


@pytest.mark.parametrize(
    ("seen", "forwarder"),
    [
        pytest.param(came(), NEW, id="a copy of its text"),
        pytest.param(came(message=WHOLE), CHANGED, id="its Message-ID over another subject"),
        pytest.param(came(), FORWARDER, id="its text under another Message-ID"),
        pytest.param(came(message=OF_MAILBOX), NEW, id="the mailbox's own address, not proven"),
        pytest.param(came(auth=VERIFIED), NEW, id="a proven stranger"),
        pytest.param(came(auth=replace(UNPROVEN, client_vouched=True)), SHARED, id="another customer of the provider"),
        pytest.param(
            came(auth=replace(UNPROVEN, results=SPF), envelope=replace(ENVELOPE, reverse_path="x@notacme.example")),
            NEW,
            id="a reverse-path of a domain that only ends alike",
        ),
        pytest.param(came(message=WHOLE, envelope=replace(ENVELOPE, client=None)), FORWARDER, id="through a pipe"),
    ],
)
def test_what_does_not_is_not(seen: Facts, forwarder: Forwarder) -> None:
    assert why_not_learnt(CHALLENGE, seen, forwarder)


STRICT = "accept: {unverified: reject, forged: reject, senders: contacts}\nblock: [{sender: {wildcard: '*'}}]"


@pytest.mark.parametrize("sender", Sender)
def test_no_policy_refuses_a_challenge_or_makes_a_ticket_of_it(sender: Sender) -> None:
    decision = judged(STRICT, challenge=CHALLENGE, sender=sender, published_policy="reject")
    assert (decision.disposition, decision.reason) == (Disposition.IGNORE, Reason.CHALLENGE_RETURNED)
    assert decision.effects == ()


def test_what_comes_to_its_reverse_path_is_a_report() -> None:
    decision = judged(STRICT, challenge=CHALLENGE, recipients=(CHALLENGE.reverse_path,))
    assert (decision.disposition, decision.reason) == (Disposition.IGNORE, Reason.CHALLENGE_REPORT)


GOOGLE = {
    "author": Address("forwarding-noreply@google.com", "Gmail Team"),
    "results": (AuthResult("dkim", "pass", (("header.d", "google.com"),)),),
}


def test_googles_question_is_kept_from_the_rules_and_never_refused() -> None:
    decision = judged(STRICT, **GOOGLE)
    assert (decision.disposition, decision.reason) == (Disposition.IGNORE, Reason.FORWARDING_CONFIRMATION)


@pytest.mark.parametrize(
    "change",
    [
        {"author": Address("forwarding-noreply@google.com.evil.example", "Gmail Team")},
        {"author": Address("eve@google.com", "Gmail Team")},
        {"results": (AuthResult("dkim", "fail", (("header.d", "google.com"),)),)},
        {"results": (AuthResult("dkim", "pass", (("header.d", "gmail.com"),)),)},
        {"results": (AuthResult("spf", "pass", (("smtp.mailfrom", "x@google.com"),)),)},
        {"sender": Sender.UNVERIFIED},
    ],
)
def test_what_looks_like_googles_is_judged_as_anybodys(change: dict[str, Any]) -> None:
    assert judged("", **GOOGLE | change).reason is not Reason.FORWARDING_CONFIRMATION
