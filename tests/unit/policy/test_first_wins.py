"""How rules work: for every two rules that set the same thing the first wins, and everything else adds up."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.core.decision import Acknowledge

from .shapes import candidate, facts, judged, rules

from gateway.policy.explain import explain  # isort: skip

DECIDES = {
    "route: sales": ("team", "assignee"),
    "assign: ann@acme.example": ("team", "assignee"),
    "assign: {team: sales, otherwise: support}": ("team", "assignee"),
    "set: {priority: high}": ("priority",),
    "set: {state: pending}": ("state",),
    "set: {language: de}": ("language",),
    "set: {fields: {plan: gold}}": ("fields.plan",),
    "mailbox: billing@acme.example": ("mailbox",),
    "new_ticket": ("ticket",),
    "acknowledge: false": ("acknowledge",),
    "ignore": ("disposition",),
    "quarantine": ("disposition",),
    "reject: no": ("disposition",),
    "tag: a": (),
    "note: seen": (),
    "notify: boss@acme.example": (),
    "notify_only: cfo@acme.example": (),
}
"""Each action in one form, and what it decides."""


def both(first: str, second: str, *, within: str = "rules") -> str:
    """Two rules, both of the account, or the second one of the team that has the mail."""
    one, two = f"{{name: one, then: [{_written(first)}]}}", f"{{name: two, then: [{_written(second)}]}}"
    if within == "rules":
        return f"rules: [{one}, {two}]"
    return f"{{rules: [{one}], teams: {{support: {{rules: [{two}]}}, sales: {{rules: [{two}]}}}}}}"


def _written(action: str) -> str:
    return f"{{{action}}}" if ":" in action else action


@pytest.mark.parametrize(("first", "second"), list(product(DECIDES, DECIDES)))
def test_of_two_rules_the_first_decides_and_the_second_is_told_so(first: str, second: str) -> None:
    _, two = judged(both(first, second)).hits
    contested = [what for what in DECIDES[second] if what in DECIDES[first]]
    assert two.already_decided == tuple((what, "one") for what in contested)
    assert bool(two.effects) is not bool(contested)


@pytest.mark.parametrize(("first", "second"), list(product(DECIDES, DECIDES)))
def test_the_rules_of_the_account_and_of_its_team_are_one_list(first: str, second: str) -> None:
    hits = judged(both(first, second, within="teams"), default_team="support").hits
    if DECIDES[first] == ("disposition",):
        assert [h.rule for h in hits] == ["one"]
        return
    one, two = hits
    assert one.effects
    assert two.rule in ("team support: two", "team sales: two")
    contested = [what for what in DECIDES[second] if what in DECIDES[first]]
    assert two.already_decided == tuple((what, "one") for what in contested)


def test_what_one_rule_sets_twice_it_has_set_once() -> None:
    (hit,) = judged("rules: [{name: one, then: [{set: {priority: low}}, {set: {priority: high}}]}]").hits
    assert (hit.effects, hit.already_decided) == (("set: priority = low",), (("priority", "one"),))


def test_stop_ends_the_account_s_rules_and_those_of_teams() -> None:
    text = """
    rules: [{name: one, then: [{tag: a}], stop: true}, {name: two, then: [{tag: b}]}]
    teams: {support: {rules: [{name: three, then: [{tag: c}]}]}}
    """
    assert [h.rule for h in judged(text).hits] == ["one"]
    traces = {t.rule: t.result for t in explain(facts(), rules(text))}
    assert traces == {"one": "matched", "two": "not reached", "team support: three": "not reached"}


@pytest.mark.parametrize("action", ["route", "assign"])
def test_an_answer_s_ticket_moves_only_with_reassign(action: str) -> None:
    moved = f"rules: [{{if: {{kind: answer}}, then: [{{{action}: {{team: sales, reassign: true}}}}]}}]"
    kept = f"rules: [{{if: {{kind: answer}}, then: [{{{action}: {{team: sales}}}}]}}]"
    assert len(judged(moved, candidates=(candidate(),)).effects) == 1
    assert judged(kept, candidates=(candidate(),)).effects == ()
    assert [e for e in judged(kept.replace("answer", "new")).effects if not isinstance(e, Acknowledge)]
