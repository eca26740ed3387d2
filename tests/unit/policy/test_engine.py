from __future__ import annotations

import pytest

from gateway.core.decision import Acknowledge, Disposition, Kind, Notify, PartDisposition, Route, Tag, TicketChoice
from gateway.core.message import Address
from gateway.core.outcome import Reason
from gateway.core.place import Evidence
from gateway.core.reports import Path, ScanStatus, Sender

from .shapes import BILLING, CONTACT, SUPPORT, candidate, file, judged, leaf

ACCEPT, IGNORE, QUARANTINE, REJECT, DEFER = (
    Disposition.ACCEPT,
    Disposition.IGNORE,
    Disposition.QUARANTINE,
    Disposition.REJECT,
    Disposition.DEFER,
)


def outcome(text="", **changes):
    decision = judged(text, **changes)
    return decision.disposition, decision.reason


def test_proven_new_mail_opens_a_ticket_and_is_acknowledged():
    decision = judged("")
    assert (decision.disposition, decision.reason, decision.text) == (ACCEPT, Reason.ACCEPTED, "")
    assert (decision.kind, decision.ticket, decision.join) == (Kind.NEW, TicketChoice.NEW, None)
    assert decision.effects == (Acknowledge(),)
    assert (decision.silence, decision.policy_version) == ("", 3)


# -- the author


def test_a_forged_author_is_refused_in_a_direct_session():
    assert outcome(sender=Sender.FORGED, published_policy="reject") == (REJECT, Reason.FORGED)


def test_where_the_domain_publishes_quarantine_reject_acts_as_quarantine():
    assert outcome(sender=Sender.FORGED, published_policy="quarantine") == (QUARANTINE, Reason.FORGED)


@pytest.mark.parametrize(
    ("wanted", "disposition"), [("accept", ACCEPT), ("quarantine", QUARANTINE), ("reject", REJECT)]
)
@pytest.mark.parametrize("sender", [Sender.FORGED, Sender.UNVERIFIED])
def test_forged_and_unverified_go_as_the_document_says(sender, wanted, disposition):
    assert outcome(f"accept: {{{sender}: {wanted}}}", sender=sender)[0] is disposition


@pytest.mark.parametrize("path", [Path.FORWARDER, Path.PROBABLE])
def test_an_unproven_author_behind_a_forwarder_is_never_refused(path):
    text = "accept: {unverified: reject}"
    assert outcome(text, sender=Sender.UNVERIFIED, path=path) == (QUARANTINE, Reason.UNVERIFIED)
    text = "accept: {unverified: reject, refuse_forwarded: true}"
    assert outcome(text, sender=Sender.UNVERIFIED, path=path) == (REJECT, Reason.UNVERIFIED)


def test_an_indeterminate_author():
    assert outcome(sender=Sender.INDETERMINATE) == (ACCEPT, Reason.ACCEPTED)
    text = "accept: {indeterminate: quarantine}"
    assert outcome(text, sender=Sender.INDETERMINATE) == (QUARANTINE, Reason.INDETERMINATE)
    assert outcome("accept: {indeterminate: defer}", sender=Sender.INDETERMINATE) == (DEFER, Reason.DNS_UNAVAILABLE)


# -- block


def test_blocked_mail_is_refused_outright():
    text = 'block: [{sender: {wildcard: "*@customer.example"}}, {subject: casino}]'
    assert outcome(text) == (REJECT, Reason.BLOCKED)
    assert outcome(text, path=Path.FORWARDER) == (QUARANTINE, Reason.BLOCKED)
    assert outcome(text, author=Address("x@y.example")) == (ACCEPT, Reason.ACCEPTED)
    assert outcome(text, author=None, subject="Casino") == (REJECT, Reason.BLOCKED)


def test_several_keys_of_a_block_mean_all_of_them():
    text = "block: [{subject: casino, verified: false}]"
    assert outcome(text, subject="casino")[0] is ACCEPT


def test_accept_and_block_do_not_apply_to_postmaster():
    text = "{accept: {unverified: reject, senders: contacts, messages: answers}, block: [{subject: casino}]}"
    assert outcome(text, subject="casino", sender=Sender.UNVERIFIED, exempt=True) == (ACCEPT, Reason.ACCEPTED)


# -- the order


def test_the_scan_is_judged_before_the_author_and_the_author_before_block():
    text = "block: [{subject: {contains: pump}}]"
    assert outcome(text, status=ScanStatus.INFECTED, sender=Sender.FORGED)[1] is Reason.VIRUS
    assert outcome(text, sender=Sender.FORGED)[1] is Reason.FORGED
    assert outcome(text)[1] is Reason.BLOCKED


def test_rules_are_not_asked_when_something_before_them_decided():
    decision = judged("{block: [{subject: {contains: pump}}], rules: [{then: [{tag: x}]}]}")
    assert (decision.hits, decision.effects, decision.ticket) == ((), (), TicketChoice.NONE)


# -- our own bounces


def test_a_delivery_report_to_our_bounce_address_is_kept_without_a_ticket():
    decision = judged("", bounce_of="o1", reverse_path=None, sender=Sender.UNVERIFIED)
    assert (decision.disposition, decision.reason) == (IGNORE, Reason.DELIVERY_REPORT)
    assert (decision.kind, decision.ticket, decision.effects) == (Kind.BOUNCE, TicketChoice.NONE, ())


def test_a_delivery_report_needs_no_proven_author():
    assert outcome("accept: {unverified: reject}", bounce_of="o1", sender=Sender.UNVERIFIED)[0] is IGNORE


def test_a_delivery_report_with_a_virus_is_still_refused():
    assert outcome(bounce_of="o1", status=ScanStatus.INFECTED)[1] is Reason.VIRUS


# -- which ticket


def test_an_answer_of_a_participant_joins():
    decision = judged("", candidates=(candidate(),))
    assert (decision.kind, decision.ticket, decision.join) == (Kind.ANSWER, TicketChoice.JOIN, "t1")
    assert (decision.effects, decision.silence) == ((), "not a new ticket")


def test_a_stranger_who_knows_our_message_id_leaves_a_note():
    decision = judged("", candidates=(candidate(participant=False),))
    assert (decision.kind, decision.ticket, decision.join) == (Kind.ANSWER, TicketChoice.NOTE, "t1")


def test_a_forged_participant_leaves_a_note():
    decision = judged("accept: {forged: accept}", candidates=(candidate(),), sender=Sender.FORGED)
    assert decision.ticket is TicketChoice.NOTE


def test_mail_to_an_agents_token_address_is_a_note():
    agent = candidate(Evidence.ANSWER_ADDRESS, ticket="t2")
    decision = judged("", candidates=(candidate(), agent))
    assert (decision.ticket, decision.join) == (TicketChoice.NOTE, "t2")


def test_of_several_tickets_the_one_the_author_takes_part_in_is_joined():
    strangers = candidate(participant=False)
    decision = judged("", candidates=(strangers, candidate(ticket="t2"), candidate(ticket="t3")))
    assert (decision.ticket, decision.join) == (TicketChoice.JOIN, "t2")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"automatic": "auto-submitted"}, Kind.AUTOMATIC),
        ({"automatic": "list", "is_list": True}, Kind.LIST),
        ({"reverse_path": None}, Kind.AUTOMATIC),
        ({"reverse_path": None, "is_report": True}, Kind.BOUNCE),
        ({"is_report": True}, Kind.AUTOMATIC),
        ({"reverse_path": None, "is_report": True, "is_list": True}, Kind.BOUNCE),
        ({}, Kind.NEW),
    ],
)
def test_kinds(changes, kind):
    assert judged("", **changes).kind is kind


def test_an_automatic_answer_joins_its_ticket_as_automatic():
    decision = judged("", automatic="auto-submitted", candidates=(candidate(),))
    assert (decision.kind, decision.ticket) == (Kind.AUTOMATIC, TicketChoice.JOIN)


# -- whose mail is taken: never 5xx


def test_strangers_to_a_mailbox_for_contacts_are_ignored_never_refused():
    text = "accept: {senders: contacts, refuse_forwarded: true}"
    assert outcome(text) == (IGNORE, Reason.SENDERS_CONTACTS_ONLY)
    assert outcome(text, contact=CONTACT) == (ACCEPT, Reason.ACCEPTED)


def test_participants_always_get_through_to_a_mailbox_for_contacts():
    assert outcome("accept: {senders: contacts}", candidates=(candidate(),)) == (ACCEPT, Reason.ACCEPTED)


def test_answers_only():
    text = "accept: {messages: answers}"
    assert outcome(text) == (IGNORE, Reason.ANSWERS_ONLY)
    assert outcome(text, candidates=(candidate(),)) == (ACCEPT, Reason.ACCEPTED)


def test_new_only_but_agents_are_heard():
    text = "accept: {messages: new}"
    assert outcome(text) == (ACCEPT, Reason.ACCEPTED)
    assert outcome(text, candidates=(candidate(),)) == (IGNORE, Reason.NEW_ONLY)
    assert outcome(text, candidates=(candidate(participant=False),)) == (IGNORE, Reason.NEW_ONLY)
    assert outcome(text, candidates=(candidate(Evidence.ANSWER_ADDRESS),)) == (ACCEPT, Reason.ACCEPTED)


# -- one mailbox differs


ONE_DIFFERS = """
accept: {unverified: quarantine}
mailboxes:
  billing@acme.example: {accept: {senders: contacts}}
"""


def test_a_mailbox_has_its_own_settings_and_keeps_the_others():
    assert outcome(ONE_DIFFERS)[0] is ACCEPT
    assert outcome(ONE_DIFFERS, mailboxes=(BILLING,)) == (IGNORE, Reason.SENDERS_CONTACTS_ONLY)
    assert outcome(ONE_DIFFERS, mailboxes=(BILLING,), sender=Sender.UNVERIFIED)[0] is QUARANTINE


def test_for_several_mailboxes_the_strictest_setting_holds():
    assert outcome(ONE_DIFFERS, mailboxes=(SUPPORT, BILLING)) == (IGNORE, Reason.SENDERS_CONTACTS_ONLY)


# -- silence


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reverse_path": None}, "null reverse-path"),
        ({"automatic": "auto-submitted"}, "automatic mail is not answered"),
        ({"is_list": True}, "list mail is not answered"),
        ({"sender": Sender.UNVERIFIED}, "the author is unverified"),
        ({"sender": Sender.INDETERMINATE}, "the author is indeterminate"),
        ({"author": None}, "no single author"),
        ({"author": Address("Billing@acme.example")}, "the author is an address of this account"),
        ({"author": Address("ANN@acme.example")}, "the author is an agent"),
        ({"author": Address("x@ACME.gw.example")}, "the author is at the gateway's own domain"),
    ],
)
def test_nobody_is_acknowledged_who_might_be_a_machine_a_victim_or_ourselves(changes, why):
    decision = judged("rules: [{then: [{acknowledge: true}, {tag: x}]}]", **changes)
    assert decision.disposition is ACCEPT
    assert (decision.silence, decision.effects) == (why, (Tag("x"),))


def test_acknowledge_false_in_accept_and_in_rules():
    assert judged("accept: {acknowledge: false}").silence == "accept.acknowledge is false"
    by_rule = judged("rules: [{name: hush, then: [{acknowledge: false}]}, {name: b, then: [{acknowledge: true}]}]")
    assert (by_rule.silence, by_rule.effects) == ("rule hush: acknowledge: false", ())
    assert by_rule.hits[1].already_decided == (("acknowledge", "hush"),)


def test_a_rule_may_ask_for_the_confirmation_that_is_the_default():
    assert judged("rules: [{then: [{acknowledge: true}]}]").effects == (Acknowledge(),)


@pytest.mark.parametrize("action", ["ignore", "quarantine", "reject: no thanks"])
def test_what_opens_no_ticket_causes_no_mail(action):
    decision = judged(
        f"rules: [{{then: [{{notify: [boss@acme.example]}}, {{route: x}}]}}, {{then: [{action if ':' not in action else '{' + action + '}'}]}}]"
    )
    assert not [e for e in decision.effects if isinstance(e, Notify | Acknowledge | Route)]
    assert decision.silence == "the message opens no ticket"
    assert (decision.ticket, decision.join) == (TicketChoice.NONE, None)
    assert len(decision.hits) == 2


def test_the_same_facts_give_the_same_decision():
    text = "rules: [{if: {subject: {contains: pump}}, then: [{tag: [b, a]}, {set: {fields: {x: 1, y: 2}}}]}]"
    assert judged(text) == judged(text)


# -- released from quarantine


def test_a_released_message_is_not_quarantined_again():
    text = "{accept: {unverified: quarantine}, rules: [{then: [{route: sales}]}]}"
    decision = judged(text, sender=Sender.UNVERIFIED, released=True)
    assert (decision.disposition, decision.ticket, decision.effects) == (ACCEPT, TicketChoice.NEW, (Route("sales"),))
    assert decision.silence == "the author is unverified"


@pytest.mark.parametrize("action", ["quarantine", "{reject: no}"])
def test_a_released_message_is_not_stopped_by_the_rule_that_stopped_it(action):
    decision = judged(f"rules: [{{then: [{action}, {{tag: x}}]}}]", released=True)
    assert (decision.disposition, decision.effects) == (ACCEPT, (Tag("x"), Acknowledge()))


def test_what_would_be_ignored_is_ignored_after_release_too():
    assert outcome("accept: {senders: contacts}", released=True) == (IGNORE, Reason.SENDERS_CONTACTS_ONLY)
    assert outcome("rules: [{then: [ignore]}]", released=True) == (IGNORE, Reason.IGNORED_BY_RULE)


def test_an_infected_file_waits_although_its_message_was_released():
    released = judged("", status=ScanStatus.INFECTED, parts=(leaf(1),), files=(file(1, "a.pdf", "pdf"),), released=True)
    assert released.disposition is ACCEPT
    assert [p.disposition for p in released.parts] == [PartDisposition.HELD]
