"""Spam is what rspamd or the known forwarder calls so; `accept.spam` says what becomes of it, the condition lets rules ask."""

from __future__ import annotations

import pytest

from gateway.core.decision import Disposition, TicketChoice
from gateway.core.outcome import Reason
from gateway.core.place import Evidence
from gateway.core.reports import Path, ScanStatus, Sender
from gateway.policy.document import PolicyDocument
from gateway.policy.explain import explain
from gateway.policy.spam import said_of_spam
from gateway.smtp.replies import reply_for

from .shapes import BILLING, SUPPORT, candidate, facts, judged, problems, rules

ACCEPT, QUARANTINE, REJECT = Disposition.ACCEPT, Disposition.QUARANTINE, Disposition.REJECT


def rspamd(action: str, score: float = 7.2) -> tuple[tuple[str, float | str], ...]:
    return (("rspamd.score", score), ("rspamd.required", 15.0), ("rspamd.action", action), ("rspamd.symbols", "X 7.2"))


SPAM = {"facts": rspamd("add header")}
JUNK = {"path": Path.FORWARDER, "forwarder": "outlook.com", "headers": (("X-MS-Exchange-Organization-SCL", "6"),)}


def outcome(text: str = "", **changes):
    decision = judged(text, **changes)
    return decision.disposition, decision.reason


# -- who says so


@pytest.mark.parametrize("action", ["reject", "add header", "rewrite subject"])
def test_rspamd_says_spam_and_how_much(action):
    assert said_of_spam(facts(facts=rspamd(action, 16.0))) == f"spam, says rspamd ({action}, 16 of 15)"


@pytest.mark.parametrize("action", ["no action", "greylist", "soft reject", "discard", ""])
def test_what_rspamd_wants_again_or_leaves_is_no_spam(action):
    assert said_of_spam(facts(facts=rspamd(action))) == ""
    assert outcome("accept: {spam: reject}", facts=rspamd(action))[0] is ACCEPT


def test_without_rspamd_or_with_one_that_is_down_nobody_says_so():
    assert said_of_spam(facts()) == ""
    assert outcome(facts=(("rspamd.state", "down"),))[0] is ACCEPT


@pytest.mark.parametrize(
    ("field", "mark"),
    [
        (("X-MS-Exchange-Organization-SCL", "5"), "SCL 5"),
        (("x-ms-exchange-organization-scl", " 9 "), "SCL 9"),
        (("X-Forefront-Antispam-Report", "CIP:192.0.2.1;CTRY:;LANG:en;SCL:6;SRV:;IPV:NLI;"), "SCL 6"),
        (("X-Forefront-Antispam-Report", "SCL:5"), "SCL 5"),
        (("X-Spam-Flag", "YES"), "X-Spam-Flag: YES"),
        (("X-Spam-Flag", " yes"), "X-Spam-Flag: YES"),
    ],
)
def test_the_known_forwarder_s_own_filter_says_spam(field, mark):
    seen = facts(path=Path.FORWARDER, forwarder="outlook.com", headers=(field,))
    assert said_of_spam(seen) == f"spam, says the forwarder outlook.com ({mark})"


@pytest.mark.parametrize(
    "field",
    [
        ("X-MS-Exchange-Organization-SCL", "4"),
        ("X-MS-Exchange-Organization-SCL", "-1"),
        ("X-MS-Exchange-Organization-SCL", "500"),
        ("X-MS-Exchange-Organization-SCL", "five"),
        ("X-Forefront-Antispam-Report", "CIP:192.0.2.1;SCL:1;SFV:NSPM;"),
        ("X-Forefront-Antispam-Report", "SCL:-1;XSCL:9"),
        ("X-Spam-Flag", "NO"),
        ("X-Spam-Flag", "yesterday"),
        ("X-Spam-Status", "Yes, score=12"),
    ],
)
def test_other_marks_are_none(field):
    assert said_of_spam(facts(path=Path.FORWARDER, forwarder="outlook.com", headers=(field,))) == ""


@pytest.mark.parametrize("path", [Path.DIRECT, Path.PROBABLE, Path.UNKNOWN])
def test_only_the_learnt_forwarder_is_believed(path):
    assert said_of_spam(facts(**{**JUNK, "path": path})) == ""


# -- what becomes of it


@pytest.mark.parametrize(
    ("text", "direct", "forwarded"),
    [
        ("", QUARANTINE, QUARANTINE),
        ("accept: {spam: accept}", ACCEPT, ACCEPT),
        ("accept: {spam: quarantine}", QUARANTINE, QUARANTINE),
        ("accept: {spam: reject}", REJECT, QUARANTINE),
        ("accept: {spam: reject, refuse_forwarded: true}", REJECT, REJECT),
    ],
)
def test_accept_spam_says_what_becomes_of_spam(text, direct, forwarded):
    for changes, wanted in ((SPAM, direct), (JUNK, forwarded)):
        decision = judged(text, **changes)
        assert decision.disposition is wanted
        if wanted is not ACCEPT:
            assert (decision.reason, decision.text) == (Reason.SPAM, said_of_spam(facts(**changes)))
            assert (decision.ticket, decision.effects) == (TicketChoice.NONE, ())


def test_its_reply_names_who_said_it():
    assert str(reply_for(Reason.SPAM, "spam, says rspamd (reject, 16 of 15)", "T")) == (
        "550 5.7.1 T spam, says rspamd (reject, 16 of 15)"
    )


def test_a_mailbox_may_differ_and_of_several_the_strictest_holds():
    text = "{accept: {spam: quarantine}, mailboxes: {billing@acme.example: {accept: {spam: reject}}}}"
    assert outcome(text, mailboxes=(SUPPORT,), **SPAM)[0] is QUARANTINE
    assert outcome(text, mailboxes=(BILLING,), **SPAM)[0] is REJECT
    assert outcome(text, mailboxes=(SUPPORT, BILLING), **SPAM)[0] is REJECT
    text = "{mailboxes: {billing@acme.example: {accept: {spam: accept}}}}"
    assert outcome(text, mailboxes=(SUPPORT, BILLING), **SPAM)[0] is QUARANTINE


def test_postmaster_takes_spam():
    assert outcome("accept: {spam: reject}", exempt=True, **SPAM) == (ACCEPT, Reason.ACCEPTED)


def test_the_author_and_block_are_judged_before_and_viruses_before_them():
    text = "{accept: {spam: reject}, block: [{subject: {contains: casino}}]}"
    assert outcome(text, status=ScanStatus.INFECTED, **SPAM)[1] is Reason.VIRUS
    assert outcome(text, sender=Sender.FORGED, **SPAM)[1] is Reason.FORGED
    assert outcome(text, subject="casino", **SPAM)[1] is Reason.BLOCKED
    assert outcome(text, **SPAM)[1] is Reason.SPAM


def test_spam_that_an_admin_released_is_spam_no_more():
    assert judged("accept: {spam: reject}", released=True, **SPAM).disposition is ACCEPT


# -- answers


def test_the_answer_of_a_proven_participant_is_never_spam():
    assert outcome("accept: {spam: reject}", candidates=(candidate(),), **SPAM) == (ACCEPT, Reason.ACCEPTED)


def test_an_answer_without_proof_is_judged():
    assert outcome(candidates=(candidate(),), sender=Sender.UNVERIFIED, **SPAM) == (QUARANTINE, Reason.SPAM)


def test_a_stranger_s_note_to_a_ticket_is_judged():
    assert outcome(candidates=(candidate(participant=False),), **SPAM) == (QUARANTINE, Reason.SPAM)


def test_what_comes_to_an_agent_s_answer_address_is_never_spam():
    came_to_it = (candidate(Evidence.ANSWER_ADDRESS, participant=False),)
    for sender in (Sender.VERIFIED, Sender.UNVERIFIED):
        assert outcome(candidates=came_to_it, sender=sender, **SPAM)[0] is ACCEPT


# -- the condition


@pytest.mark.parametrize(
    ("written", "changes", "holds", "saw"),
    [
        ("{score_over: 6}", {"facts": rspamd("no action", 6.5)}, True, "6.5"),
        ("{score_over: 6}", {"facts": rspamd("no action", 6.0)}, False, "6"),
        ("{score_over: -1.5}", {"facts": rspamd("no action", -1.0)}, True, "-1"),
        ("{score_over: 6}", {}, False, "(no score: no rspamd)"),
        ("{score_over: -100}", {"facts": (("rspamd.state", "timeout"),)}, False, "(no score: rspamd timeout)"),
        ("true", SPAM, True, "spam, says rspamd (add header, 7.2 of 15)"),
        ("true", JUNK, True, "spam, says the forwarder outlook.com (SCL 6)"),
        ("true", {}, False, "(nobody calls it spam)"),
        ("false", {}, True, "(nobody calls it spam)"),
        ("false", SPAM, False, "spam, says rspamd (add header, 7.2 of 15)"),
    ],
)
def test_the_condition_says_what_it_saw(written, changes, holds, saw):
    policy = rules(
        f"{{accept: {{spam: accept}}, rules: [{{name: r, if: {{spam: {written}}}, then: [{{tag: [junk]}}]}}]}}"
    )
    (trace,) = explain(facts(**changes), policy)
    (condition,) = trace.conditions
    assert (condition.condition, condition.saw, condition.holds) == ("spam", saw, holds)
    assert trace.result == ("matched" if holds else "not matched")


def test_a_block_may_ask_for_a_lower_score():
    assert outcome("block: [{spam: {score_over: 4}}]", facts=rspamd("greylist", 4.5)) == (REJECT, Reason.BLOCKED)


@pytest.mark.parametrize("score", ["six", "true", "[6]", ".nan", "1e9"])
def test_a_score_is_a_number(score):
    assert "line 1, column 29" in problems(f"block: [{{spam: {{score_over: {score}}}}}]")


def test_the_schema_knows_both():
    schema = PolicyDocument.model_json_schema()
    assert schema["$defs"]["Accept"]["properties"]["spam"]["enum"] == ["accept", "quarantine", "reject"]
    assert schema["$defs"]["If"]["properties"]["spam"]["anyOf"][0]["type"] == "boolean"
    assert "score_over" in schema["$defs"]["SpamParams"]["properties"]
