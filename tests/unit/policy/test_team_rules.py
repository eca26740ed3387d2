"""A team's own rules: what reaches the team, after the account's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.decision import Disposition, NewTicket, Route, Tag, TicketChoice
from gateway.policy.explain import explain

from .shapes import BILLING, candidate, facts, judged, rules

TEAMS = """
teams:
  support: {rules: [{name: s, then: [{tag: support}]}]}
  sales: {rules: [{name: s, then: [{tag: sales}]}]}
  finance: {rules: [{name: s, then: [{tag: finance}]}, {name: t, if: {kind: answer}, then: [{tag: finance-answer}]}]}
"""


def tags(text: str, **changes: object) -> list[str]:
    return [e.tag for e in judged(text, **changes).effects if isinstance(e, Tag)]


def hits(text: str, **changes: object) -> list[str]:
    return [h.rule for h in judged(text, **changes).hits]


def test_the_team_of_the_mailbox_sees_its_mail() -> None:
    assert hits(TEAMS) == ["team support: s"]


ASSIGNED = "rules: [{name: a, then: [{assign: fay@acme.example}]}]" + TEAMS


@pytest.mark.parametrize(
    ("of_fay", "team"),
    [(("finance", "sales"), "finance"), (("finance", "support"), "support"), (("elsewhere",), ""), ((), "support")],
)
def test_what_is_given_to_an_agent_reaches_the_team_its_ticket_will_be_of(of_fay: tuple[str, ...], team: str) -> None:
    """The rules of the mailbox's team ran on tickets of the agent's."""
    assert tags(ASSIGNED, agent_teams=(("fay@acme.example", of_fay),)) == [t for t in [team] if t]


def test_an_agent_nobody_knows_leaves_the_mail_with_its_team() -> None:
    assert tags(ASSIGNED) == ["support"]


def test_mail_of_a_mailbox_without_a_team_reaches_the_default_team() -> None:
    assert tags(TEAMS, mailboxes=(BILLING,), default_team="sales") == ["sales"]
    assert tags(TEAMS, mailboxes=(BILLING,)) == []


@pytest.mark.parametrize(
    "then", ["{route: sales}", "{assign: {team: [sales, finance]}}", "{assign: {team: sales, otherwise: finance}}"]
)
def test_the_team_a_rule_gave_it_to_sees_it(then: str) -> None:
    assert tags(f"rules: [{{name: a, then: [{then}]}}]\n{TEAMS}") == ["sales"]


def test_the_team_of_the_mailbox_a_rule_gave_it_to_sees_it() -> None:
    text = f"rules: [{{then: [{{mailbox: billing@acme.example}}]}}]\n{TEAMS}"
    assert tags(text, other_teams=(("billing@acme.example", "finance"),)) == ["finance"]


def test_an_answer_reaches_the_team_of_its_ticket() -> None:
    ticket = replace(candidate(), team="finance")
    assert hits(TEAMS, candidates=(ticket,)) == ["team finance: t"]
    assert hits(TEAMS, candidates=(replace(ticket, team=None),)) == []


def test_an_answer_that_a_rule_moves_reaches_the_new_team() -> None:
    text = f"rules: [{{if: {{kind: answer}}, then: [{{route: {{team: finance, reassign: true}}}}]}}]\n{TEAMS}"
    assert hits(text, candidates=(candidate(),)) == ["rule 1", "team finance: t"]
    kept = text.replace(", reassign: true", "")
    assert hits(kept, candidates=(candidate(),)) == ["rule 1"]


def test_what_is_ignored_reaches_no_team() -> None:
    text = f"rules: [{{then: [ignore]}}]\n{TEAMS}"
    assert hits(text) == ["rule 1"]
    assert [(t.rule, t.result) for t in explain(facts(), rules(text))][1] == ("team support: s", "not reached")


def test_what_an_admin_lets_go_reaches_the_team_after_all() -> None:
    text = f"rules: [{{then: [quarantine]}}]\n{TEAMS}"
    assert judged(text).disposition is Disposition.QUARANTINE
    assert tags(text, released=True) == ["support"]


def test_a_team_decides_what_the_account_left_open_and_nothing_else() -> None:
    text = """
    rules: [{name: a, then: [{route: sales}, {set: {priority: low}}]}]
    teams: {sales: {rules: [{name: b, then: [{route: support}, {set: {priority: high, state: pending}}]}]}}
    """
    decision = judged(text)
    assert [e for e in decision.effects if isinstance(e, Route)] == [Route("sales")]
    assert decision.hits[1].already_decided == (("team", "a"), ("assignee", "a"), ("priority", "a"))
    assert decision.hits[1].effects == ("set: state = pending",)


def test_the_rules_of_a_team_that_a_team_passes_it_to_do_not_run() -> None:
    text = """
    teams:
      support: {rules: [{then: [{route: sales}]}]}
      sales: {rules: [{then: [{tag: sales}]}]}
    """
    assert hits(text) == ["team support: rule 1"]
    assert Route("sales") in judged(text).effects


def test_a_ticket_of_its_own_that_a_team_wants_stays_with_the_team() -> None:
    text = "teams: {finance: {rules: [{if: {kind: answer}, then: [new_ticket]}]}}"
    decision = judged(text, candidates=(replace(candidate(), team="finance"),))
    assert (decision.ticket, decision.join) == (TicketChoice.NEW, None)
    assert decision.effects[:2] == (NewTicket(), Route("finance"))


def test_every_rule_of_the_team_is_explained_behind_the_account_s() -> None:
    text = f"rules: [{{name: a, if: {{subject: x}}, stop: true}}]\n{TEAMS}"
    traces = explain(facts(mailboxes=(replace(BILLING, team="finance"),)), rules(text))
    assert [(t.rule, t.result) for t in traces] == [
        ("a", "not matched"),
        ("team finance: s", "matched"),
        ("team finance: t", "not matched"),
    ]
