"""`join_open_ticket`, `new_ticket` and the condition `ticket`: which ticket mail belongs to, and what rules make of that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.core.decision import Acknowledge, Disposition, Kind, Route, Tag, TicketChoice
from gateway.core.place import Evidence
from gateway.core.reports import Sender

from .shapes import BILLING, NOW, SUPPORT, candidate, judged

JOIN = "accept: {join_open_ticket: true}\n"
OPEN = replace(candidate(Evidence.OPEN_TICKET), last_activity=NOW - timedelta(minutes=89), tags=("vip", "eu"))
CLOSED = replace(candidate(), state="closed", closed_at=NOW - timedelta(days=30))


def belongs(text: str, *found: object, **changes: object) -> tuple[TicketChoice, str | None]:
    decision = judged(text, candidates=found or (OPEN,), **changes)
    return decision.ticket, decision.join


# -- join_open_ticket


def test_new_mail_joins_the_open_ticket_of_its_author_where_the_policy_says_so() -> None:
    assert belongs(JOIN) == (TicketChoice.JOIN, "t1")
    assert belongs("") == (TicketChoice.NEW, None)


def test_it_stays_new_mail_for_rules_and_is_not_confirmed() -> None:
    decision = judged(JOIN + "rules: [{then: [{tag: a}]}, {if: {kind: answer}, then: [{tag: b}]}]", candidates=(OPEN,))
    assert (decision.kind, decision.effects, decision.silence) == (Kind.NEW, (Tag("a"),), "not a new ticket")


@pytest.mark.parametrize(("within", "joins"), [("89m", True), ("88m", False), ("2d", True), ("0m", False)])
def test_with_a_duration_only_where_something_happened_lately(within: str, joins: bool) -> None:
    assert (belongs(f"accept: {{join_open_ticket: {within}}}")[1] == "t1") is joins


@pytest.mark.parametrize("sender", [s for s in Sender if s is not Sender.VERIFIED])
def test_only_a_proven_author_s_mail_joins(sender: Sender) -> None:
    assert belongs(f"{JOIN}\n", sender=sender)[1] is None


def test_mail_of_somebody_who_does_not_take_part_joins_nothing() -> None:
    assert belongs(JOIN, replace(OPEN, is_participant=False)) == (TicketChoice.NEW, None)


@pytest.mark.parametrize("machine", [{"automatic": "auto-submitted"}, {"is_list": True}, {"reverse_path": None}])
def test_what_machines_and_lists_send_joins_nothing(machine: dict[str, object]) -> None:
    assert belongs(JOIN, **machine) == (TicketChoice.NEW, None)


def test_an_answer_belongs_to_its_own_ticket() -> None:
    assert belongs(JOIN, OPEN, candidate(ticket="t2")) == (TicketChoice.JOIN, "t2")


def test_the_mailbox_s_own_word_holds_and_of_several_mailboxes_the_strictest() -> None:
    text = JOIN + "mailboxes: {billing@acme.example: {accept: {join_open_ticket: 60m}}}"
    assert belongs(text)[1] == "t1"
    assert belongs(text, mailboxes=(BILLING,))[1] is None
    assert belongs(text, mailboxes=(SUPPORT, BILLING))[1] is None
    never = JOIN + "mailboxes: {billing@acme.example: {accept: {join_open_ticket: false}}}"
    assert belongs(never, mailboxes=(SUPPORT, BILLING))[1] is None


def test_route_and_assign_do_not_move_the_ticket_that_is_joined() -> None:
    decision = judged(JOIN + "rules: [{name: a, then: [{route: sales}]}]", candidates=(OPEN,))
    kept = "the ticket (an answer moves it only with reassign: true)"
    assert decision.hits[0].already_decided == (("team", kept), ("assignee", kept))


@pytest.mark.parametrize(("messages", "joins"), [("new", True), ("answers", True)])
def test_it_is_new_mail_where_only_that_is_taken_and_answers_a_ticket_where_only_that_is(
    messages: str, joins: bool
) -> None:
    assert (belongs(f"accept: {{join_open_ticket: true, messages: {messages}}}")[1] == "t1") is joins


def test_who_takes_part_is_let_in_though_he_is_no_contact() -> None:
    assert belongs("accept: {join_open_ticket: true, senders: contacts}") == (TicketChoice.JOIN, "t1")


# -- new_ticket


def test_new_ticket_overrides_the_open_one_and_is_confirmed() -> None:
    decision = judged(JOIN + "rules: [{then: [new_ticket]}]", candidates=(OPEN,))
    assert (decision.ticket, decision.join) == (TicketChoice.NEW, None)
    assert Acknowledge() in decision.effects


def test_an_answer_gets_a_ticket_of_its_own_from_a_rule_that_names_kind() -> None:
    assert belongs("rules: [{then: [new_ticket]}]", candidate()) == (TicketChoice.JOIN, "t1")
    decision = judged("rules: [{if: {kind: answer}, then: [new_ticket]}]", candidates=(candidate(),))
    assert (decision.kind, decision.ticket, decision.join) == (Kind.ANSWER, TicketChoice.NEW, None)
    assert Acknowledge() in decision.effects


def test_what_a_stranger_answers_may_get_a_ticket_of_its_own_too() -> None:
    text = "rules: [{if: {kind: answer}, then: [new_ticket]}]"
    assert belongs(text, candidate(participant=False)) == (TicketChoice.NEW, None)


def test_what_an_agent_writes_to_his_answer_address_stays_a_note() -> None:
    text = "rules: [{name: a, if: {kind: answer}, then: [new_ticket]}]"
    decision = judged(text, candidates=(candidate(Evidence.ANSWER_ADDRESS),))
    assert (decision.ticket, decision.join) == (TicketChoice.NOTE, "t1")
    assert decision.hits[0].withheld == (("new_ticket", "it is an agent's own, and stays with its ticket"),)


def test_the_new_ticket_goes_where_rules_route_it_whether_they_stand_above_or_below() -> None:
    above = "rules: [{if: {kind: answer}, then: [{route: sales}]}, {if: {kind: answer}, then: [new_ticket]}]"
    below = "rules: [{if: {kind: answer}, then: [new_ticket]}, {then: [{route: sales}]}]"
    for text in (above, below):
        assert Route("sales") in judged(text, candidates=(candidate(),)).effects


def test_rules_below_see_mail_that_opens_a_ticket_and_those_above_did_not() -> None:
    text = """
    rules:
      - {name: above, then: [{tag: a}]}
      - {name: new, if: {kind: answer}, then: [new_ticket]}
      - {name: below, then: [{tag: b}]}
    """
    assert [h.rule for h in judged(text, candidates=(candidate(),)).hits] == ["new", "below"]


def test_on_plain_new_mail_it_changes_nothing() -> None:
    assert belongs("rules: [{then: [new_ticket]}]") == (TicketChoice.NEW, None)


# -- the condition


def saw(condition: str, *found: object) -> tuple[bool, str]:
    text = f"{JOIN}rules: [{{if: {{kind: [new, answer], ticket: {condition}}}, stop: true}}]"
    hits = judged(text, candidates=found).hits
    if hits:
        return True, hits[0].conditions[-1].saw if hits[0].conditions[-1].condition == "ticket" else hits[0].conditions[
            0
        ].saw
    return False, ""


@pytest.mark.parametrize(
    ("condition", "found", "holds"),
    [
        ("{state: open}", OPEN, True),
        ("{state: [closed, pending]}", OPEN, False),
        ("{team: support}", OPEN, True),
        ("{team: {wildcard: 'sup*'}}", OPEN, True),
        ("{team: support}", replace(OPEN, team=None), False),
        ("{tag: VIP}", OPEN, True),
        ("{tag: [x, {contains: e}]}", OPEN, True),
        ("{tag: x}", OPEN, False),
        ("{team: support, tag: x}", OPEN, False),
        ("{team: support, state: closed, closed_for: 29d}", CLOSED, True),
        ("{closed_for: 30d}", CLOSED, True),
        ("{closed_for: 31d}", CLOSED, False),
        ("{closed_for: 0m}", OPEN, False),
    ],
)
def test_the_condition_is_about_the_ticket_the_mail_belongs_to(condition: str, found: object, holds: bool) -> None:
    assert saw(condition, found)[0] is holds


@pytest.mark.parametrize("condition", ["{state: open}", "{team: support}", "{tag: vip}", "{closed_for: 0m}"])
def test_without_a_ticket_it_does_not_hold(condition: str) -> None:
    assert saw(condition) == (False, "")
    unjoined = f"rules: [{{if: {{kind: new, ticket: {condition}}}, stop: true}}]"
    assert judged(unjoined, candidates=(OPEN,)).hits == ()


def test_it_says_what_it_saw() -> None:
    assert saw("{team: support, closed_for: 7d}", CLOSED) == (True, "team: support, closed_for: 30d")
    recent = replace(CLOSED, closed_at=NOW - timedelta(hours=26))
    assert saw("{closed_for: 1d}", recent) == (True, "closed_for: 1d 2h")


def test_an_answer_to_a_ticket_closed_long_ago_opens_a_new_one() -> None:
    text = "rules: [{if: {kind: answer, ticket: {closed_for: 30d}}, then: [new_ticket]}]"
    assert belongs(text, CLOSED) == (TicketChoice.NEW, None)
    fresh = replace(CLOSED, closed_at=NOW - timedelta(days=29, hours=23))
    assert belongs(text, fresh) == (TicketChoice.JOIN, "t1")


# -- rules without `kind`: they see new mail, whether or not it joins


def test_what_a_rule_without_kind_quarantines_does_not_slip_in_through_an_open_ticket() -> None:
    text = JOIN + "rules: [{if: {subject: {contains: pump}}, then: [quarantine]}]"
    assert judged(text, candidates=(OPEN,)).disposition is Disposition.QUARANTINE
    assert judged(text, candidates=(candidate(),)).disposition is Disposition.ACCEPT


def test_a_rule_for_mail_that_opens_a_ticket_only_asks_for_no_ticket() -> None:
    text = JOIN + 'rules: [{if: {none: [{ticket: {state: {wildcard: "*"}}}]}, then: [{tag: a}]}]'
    assert Tag("a") not in judged(text, candidates=(OPEN,)).effects
    assert Tag("a") in judged(text).effects
