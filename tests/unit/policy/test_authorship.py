"""Whose mail it is where From is a machine or a group: `author_from`, and what a known forwarder is known to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.decision import Acknowledge, Disposition, Facts, Kind, TicketChoice
from gateway.core.forwarder import Form, Forwarder
from gateway.core.message import Address
from gateway.core.place import Candidate, Evidence
from gateway.core.reports import Level, Path, Sender
from gateway.parse import parse
from gateway.policy.authorship import Whose, is_asked, whose
from gateway.policy.engine import decide

from .shapes import NOW, SUPPORT, candidate, facts, rules

GROUP = Forwarder(
    id="f1", name="lists.acme.example", networks=("192.0.2.0/24",), provider="", spf_domain="acme.example", form=Form.VERP,
    reverse_path="@acme.example", border="", arc_sealer="", dkim_domain="",
    adds=("list-id", "list-unsubscribe", "precedence", "x-original-from", "x-original-sender"),
    keeps_author=False, keeps_subject=True, keeps_message_id=True, keeps_body=True, learnt_at=NOW,
)  # fmt: skip
"""Writes the group into From, as Google Groups does for authors whose domain has a policy."""

FORM = "author_from: [{if: {sender: wordpress@acme.example}, take: reply-to}]"
MACHINE = "From: Acme <wordpress@acme.example>"
BY_GROUP = 'From: "Carol via Support" <support@acme.example>'
CAROL = "Carol <carol@customer.example>"


def made(*fields: str, forwarders: tuple[Forwarder, ...] = (), **changes: Any) -> tuple[Facts, bytes]:
    """Facts of a message of these header fields, and its content; `forwarders` are known, and the first brought it."""
    content = "\r\n".join([*fields, "To: support@acme.example", "Message-ID: <1@x.example>", "", "Hello\r\n"]).encode()
    if forwarders:
        mailbox = replace(SUPPORT, forwarders=forwarders)
        changes = {"path": Path.FORWARDER, "forwarder": forwarders[0].name, "mailboxes": (mailbox,)} | changes
    return replace(facts(**changes), message=parse(content)), content


def asked(text: str, *fields: str, **changes: Any) -> Whose:
    found, content = made(*fields, **changes)
    return whose(found, rules(text), content)


def author(found: Whose) -> str:
    assert found.facts.message.author
    return found.facts.message.author.address


# --- author_from ---


def test_the_author_of_a_web_form_is_whom_reply_to_names():
    found = asked(FORM, MACHINE, f"Reply-To: {CAROL}", by="dkim:acme.example").facts
    assert found.message.author == Address("carol@customer.example", "Carol")
    assert found.told is not None
    assert (found.told.field, found.told.because) == ("Reply-To", "author_from 1")
    assert (found.told.written, found.told.sender) == (Address("wordpress@acme.example", "Acme"), Sender.VERIFIED)
    assert (found.auth.sender, found.auth.level, found.auth.by) == (Sender.UNVERIFIED, Level.NONE, "")
    assert found.auth.reason == (
        "author as told by Reply-To (author_from 1); From is wordpress@acme.example, verified by dkim:acme.example"
    )


def test_who_is_told_is_the_sender_of_the_rules_takes_part_and_is_not_acknowledged():
    policy = rules(FORM + "\nrules: [{if: {sender: carol@customer.example, verified: false}, then: [{tag: form}]}]")
    found, content = made(MACHINE, f"Reply-To: {CAROL}")
    found = whose(found, policy, content).facts
    decision = decide(found, policy)
    assert [h.rule for h in decision.hits] == ["rule 1"]
    assert (decision.ticket, decision.silence) == (TicketChoice.NEW, "the author is unverified")
    assert not [e for e in decision.effects if isinstance(e, Acknowledge)]
    joins = replace(found, context=replace(found.context, candidates=(candidate(),)))
    assert decide(joins, policy).ticket is TicketChoice.JOIN


def test_what_accept_says_of_unverified_mail_holds_for_who_is_told():
    policy = rules(FORM + "\naccept: {unverified: quarantine}")
    found, content = made(MACHINE, f"Reply-To: {CAROL}")
    assert decide(found, policy).disposition is Disposition.ACCEPT
    assert decide(whose(found, policy, content).facts, policy).disposition is Disposition.QUARANTINE


@pytest.mark.parametrize("field", ["Reply-To", "X-Original-Sender", "X-Original-From"])
def test_each_field_may_be_named(field):
    text = f"author_from: [{{if: {{subject: form}}, take: {field.lower()}}}]"
    found = asked(text, MACHINE, "Subject: form", f"{field.upper()}: {CAROL}")
    assert author(found) == "carol@customer.example"


def test_other_mail_is_left_alone():
    found, content = made("From: dave@customer.example", f"Reply-To: {CAROL}")
    assert whose(found, rules(FORM), content) == Whose(found)


@pytest.mark.parametrize(
    "condition",
    [
        "mailbox: support@acme.example",
        "recipient: support@acme.gw.example",
        "path: direct",
        "verified: true",
        "header: {X-Mailer: PHP}",
        "all: [{subject: form}, {sender: {wildcard: '*@acme.example'}}]",
        "none: [{subject: other}]",
    ],
)
def test_conditions_see_the_message_as_it_was_written(condition):
    text = f"author_from: [{{if: {{{condition}}}, take: reply-to}}]"
    found = asked(text, MACHINE, "Subject: form", "X-Mailer: PHP", f"Reply-To: {CAROL}")
    assert author(found) == "carol@customer.example"


def test_the_first_entry_whose_field_names_somebody_decides():
    text = """
        author_from:
          - {if: {subject: other}, take: x-original-sender}
          - {if: {subject: form}, take: x-original-from}
          - {if: {subject: form}, take: reply-to}
    """
    found = asked(text, MACHINE, "Subject: form", f"Reply-To: {CAROL}", "X-Original-Sender: eve@evil.example")
    assert author(found) == "carol@customer.example"
    assert found.facts.told
    assert found.facts.told.because == "author_from 3"
    assert found.passed_over == ("X-Original-From is not there",)


@pytest.mark.parametrize(
    ("field", "objection"),
    [
        ("Reply-To: ann@acme.example", "names an agent"),
        ("Reply-To: Ann <ANN+x@ACME.example>", "names an agent"),
        ("Reply-To: support@acme.example", "names a mailbox of this account"),
        ("Reply-To: billing+7@acme.example", "names a mailbox of this account"),
        ("Reply-To: answer+abc@acme.gw.example", "names an address of the gateway"),
        ("Reply-To: postmaster@gw.example", "names an address of the gateway"),
        ("Reply-To: help@globex.gw.example", "names an address of the gateway"),
        ("Reply-To: a@x.example, b@x.example", "does not name exactly one address"),
        ("Reply-To: a@x.example <b@x.example>", "does not name exactly one address"),
        ("Reply-To: =?utf-8?q?a=40x.example_=3C?= <b@x.example>", "does not name exactly one address"),
        ("Reply-To: friends: a@x.example;", "does not name exactly one address"),
        ("Reply-To: <@relay.example:a@x.example>", "does not name exactly one address"),
        ("Reply-To: nobody", "does not name exactly one address"),
        ("Reply-To: a@x.example\r\nreply-to: b@x.example", "stands there more than once"),
        ("Reply-To : a@x.example", "is malformed"),
        ("Reply-To: a@x.example\r\nX-A: b\rReply-To: b@x.example", "cannot be read: the header has bare CR"),
        ("Subject: none", "is not there"),
    ],
)
def test_what_may_not_be_taken_is_not(field, objection):
    text = "author_from: [{if: {verified: true}, take: reply-to}]"
    found, content = made(MACHINE, field)
    found = replace(found, message=replace(found.message, author=Address("wordpress@acme.example")))  # also for bare CR
    result = whose(found, rules(text), content)
    assert (result.facts, result.passed_over) == (found, (f"Reply-To {objection}",))
    assert result.reason == "the author stays who is in From"


def test_a_colleague_may_fill_in_the_form_and_is_as_unverified_as_anybody():
    found = asked(FORM, MACHINE, "Reply-To: dora@acme.example").facts
    assert found.message.author == Address("dora@acme.example")
    assert (found.auth.sender, found.auth.level) == (Sender.UNVERIFIED, Level.NONE)


def test_a_machine_that_is_forged_speaks_for_nobody():
    """Else `author_from` would be the way around DMARC."""
    found, content = made(MACHINE, f"Reply-To: {CAROL}", sender=Sender.FORGED)
    result = whose(found, rules(FORM), content)
    assert (result.facts, result.reason) == (found, "nobody is asked for: From is forged")


def test_without_one_author_in_from_nobody_is_asked_for():
    text = "author_from: [{if: {subject: form}, take: reply-to}]"
    fields = ("From: a@x.example, b@x.example", "Subject: form", f"Reply-To: {CAROL}")
    found, content = made(*fields)
    assert whose(found, rules(text), content).facts == found


def test_who_is_in_from_anyway_keeps_his_proof():
    text = "author_from: [{if: {subject: form}, take: reply-to}]"
    found, content = made("From: carol@customer.example", "Subject: form", "Reply-To: Carol@customer.EXAMPLE")
    result = whose(found, rules(text), content)
    assert (result.facts, result.reason) == (found, "Reply-To names who is in From")


@pytest.mark.parametrize("sender", [Sender.UNVERIFIED, Sender.INDETERMINATE])
def test_of_a_machine_that_is_not_proven_the_author_is_unverified(sender):
    found = asked(FORM, MACHINE, f"Reply-To: {CAROL}", sender=sender, by="").facts
    assert found.auth.sender is Sender.UNVERIFIED
    assert found.auth.reason.endswith(f"From is wordpress@acme.example, {sender.value}")


# --- a known forwarder that rewrites ---


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (("X-Original-From", "X-Original-Sender", "Reply-To"), "X-Original-From"),
        (("X-Original-Sender", "Reply-To"), "X-Original-Sender"),
        (("Reply-To",), "Reply-To"),
    ],
)
def test_of_a_rewriting_forwarder_the_fields_are_asked_in_their_order(fields, field):
    named = [f"{name}: {name.lower()}@customer.example" for name in reversed(fields)]
    found = asked("", BY_GROUP, *named, forwarders=(GROUP,)).facts
    assert found.told
    assert (found.told.field, found.told.because) == (field, "the forwarder lists.acme.example rewrites From")
    assert found.message.author == Address(f"{field.lower()}@customer.example")
    assert found.auth.sender is Sender.UNVERIFIED


@pytest.mark.parametrize(
    "changes",
    [
        {"forwarders": (replace(GROUP, keeps_author=True),)},
        {"forwarders": (GROUP,), "path": Path.PROBABLE, "forwarder": None},
        {"forwarders": (GROUP,), "path": Path.UNKNOWN, "forwarder": None},
        {"forwarders": (GROUP,), "path": Path.DIRECT, "forwarder": None},
        {"forwarders": (replace(GROUP, keeps_author=True), replace(GROUP, name="other"))},
    ],
)
def test_only_of_the_known_forwarder_that_brought_it_and_rewrites(changes):
    found, content = made(BY_GROUP, f"X-Original-From: {CAROL}", f"Reply-To: {CAROL}", **changes)
    assert whose(found, rules(""), content) == Whose(found)


def test_an_author_whom_the_group_left_alone_is_not_replaced_by_what_he_wrote():
    """Groups rewrite only authors whose domain has a policy; X-Original-From of others is whatever they like."""
    fields = ("X-Original-From: victim@bank.example", "Reply-To: victim@bank.example")
    found, content = made("From: eve@evil.example", *fields, forwarders=(GROUP,))
    assert whose(found, rules(""), content).facts == found


def test_a_field_the_forwarder_does_not_write_is_not_its_word():
    silent = replace(GROUP, adds=("list-id",))
    fields = (BY_GROUP, "X-Original-From: victim@bank.example", "X-Original-Sender: victim@bank.example")
    found = asked("", *fields, f"Reply-To: {CAROL}", forwarders=(silent,))
    assert found.facts.told
    assert found.facts.told.field == "Reply-To"


def test_a_second_field_beside_the_forwarder_s_makes_it_count_for_nothing():
    fields = ("X-Original-From: victim@bank.example", f"X-Original-From: {CAROL}", f"X-Original-Sender: {CAROL}")
    found = asked("", BY_GROUP, *fields, forwarders=(GROUP,))
    assert found.passed_over == ("X-Original-From stands there more than once",)
    assert author(found) == "carol@customer.example"


def test_a_colleague_who_is_proven_wrote_himself_whatever_reply_to_says():
    fields = ("From: dora@acme.example", "X-Original-Sender: bounces@tool.example", "Reply-To: dora@home.example")
    found, content = made(*fields, forwarders=(GROUP,))
    assert whose(found, rules(""), content).facts == found
    told = asked("", *fields, f"X-Original-From: {CAROL}", forwarders=(GROUP,))
    assert author(told) == "carol@customer.example"


@pytest.mark.parametrize(
    ("address", "provider", "is_told"),
    [
        ("carol=customer.example@acme.example", "", True),
        ("support-owner@lists.acme.example", "", True),
        ("carol=customer.example@relay.example", "", True),
        ("dave@relay.example", "google", False),
        ("carol@relay.example.evil.example", "", False),
    ],
)
def test_from_is_the_forwarder_s_at_the_mailbox_s_domain_or_its_own(address, provider, is_told):
    forwarder = replace(GROUP, dkim_domain="relay.example", provider=provider)
    fields = (f"From: {address}", f"Reply-To: {CAROL}")
    found = asked("", *fields, forwarders=(forwarder,), sender=Sender.UNVERIFIED, by="").facts
    assert bool(found.told) is is_told


def test_an_agent_named_by_the_group_is_no_agent():
    found = asked("", BY_GROUP, "X-Original-From: ann@acme.example", f"Reply-To: {CAROL}", forwarders=(GROUP,))
    assert found.passed_over == ("X-Original-From names an agent", "X-Original-Sender is not there")
    assert author(found) == "carol@customer.example"


def test_the_challenge_keeps_its_author():
    """Learning compares From with ours: a known forwarder is checked anew as it was checked first."""
    fields = (BY_GROUP, "X-Original-From: Forwarding check <postmaster@gw.example>")
    found, content = made(*fields, forwarders=(GROUP,))
    assert whose(found, rules(""), content).facts.message.author == found.message.author


# --- what a forwarder adds ---

LIST = ("List-Id: <support.acme.example>", "Precedence: list", "List-Unsubscribe: <mailto:x@acme.example>")


def kind(*fields: str, **changes: Any) -> Kind:
    found, content = made("From: carol@customer.example", *fields, **changes)
    return decide(whose(found, rules(""), content).facts, rules("")).kind


def test_what_the_known_forwarder_adds_makes_mail_no_list():
    found = asked("", "From: carol@customer.example", *LIST, forwarders=(GROUP,))
    assert found.not_counted == ("list-id", "list-unsubscribe", "precedence")
    assert (found.facts.message.is_list, found.facts.message.automatic) == (False, "")
    decision = decide(found.facts, rules(""))
    assert (decision.kind, decision.silence) == (Kind.NEW, "")


@pytest.mark.parametrize("added", [*LIST])
def test_each_of_them_counts_from_who_is_not_known_to_add_it(added):
    name = added.partition(":")[0].lower()
    others = replace(GROUP, adds=tuple(a for a in GROUP.adds if a != name))
    assert kind(*LIST, forwarders=(GROUP,)) is Kind.NEW
    assert kind(*LIST, forwarders=(others,)) is Kind.LIST
    assert kind(*LIST, forwarders=(GROUP,), path=Path.PROBABLE, forwarder=None) is Kind.LIST
    assert kind(*LIST) is Kind.LIST


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (("Auto-Submitted: auto-replied",), Kind.AUTOMATIC),
        (("Precedence: auto_reply",), Kind.AUTOMATIC),
        (("Precedence: bulk",), Kind.LIST),
        (("Precedence: first-class",), Kind.NEW),
        (("List-Unsubscribe: <https://shop.example/u>",), Kind.LIST),
        (("List-Id: <news.shop.example>",), Kind.LIST),
        (("X-MS-Exchange-Inbox-Rules-Loop: support@acme.example", "X-Loop: support@acme.example"), Kind.NEW),
    ],
)
def test_what_the_author_wrote_himself_counts_beside_it(own, expected):
    assert kind(*LIST, *own, forwarders=(GROUP,)) is expected


# --- whether anything is asked at all ---


def test_mail_of_most_accounts_is_not_looked_at_again():
    plain, _ = made("From: carol@customer.example", f"Reply-To: {CAROL}")
    assert not is_asked(plain, rules(""))
    assert is_asked(plain, rules(FORM))
    keeping = replace(GROUP, keeps_author=True)
    assert not is_asked(made("From: carol@customer.example", forwarders=(keeping,))[0], rules(""))
    assert is_asked(made("From: carol@customer.example", *LIST, forwarders=(keeping,))[0], rules(""))
    assert is_asked(made("From: carol@customer.example", forwarders=(GROUP,))[0], rules(""))


def test_an_agent_s_token_address_stays_his_whoever_is_told():
    answer = Candidate(
        "t1", 7, "open", None, None, Evidence.ANSWER_ADDRESS, is_participant=False, agent="ann@acme.example"
    )
    found, content = made(MACHINE, f"Reply-To: {CAROL}")
    told = whose(found, rules(FORM), content).facts
    decision = decide(replace(told, context=replace(told.context, candidates=(answer,))), rules(FORM))
    assert decision.ticket is TicketChoice.NOTE
