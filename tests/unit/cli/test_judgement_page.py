"""The page of `policy test`: which ticket, who takes part, and what each effect says."""

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import dedent
from typing import Any

from gateway.cli.judgement_page import judgement_lines
from gateway.commands.judge import Judgement
from gateway.commands.judgement import json_of
from gateway.core.message import Address
from gateway.core.place import Evidence
from gateway.policy.engine import decide
from gateway.policy.explain import explain
from tests.unit.policy.shapes import candidate, facts, rules

POLICY = dedent("""
    accept: {join_open_ticket: true}
    rules:
      - {name: a, then: [{assign: {team: [sales, finance], otherwise: {team: support, strategy: round-robin}}}]}
      - {name: b, then: [{mailbox: billing@acme.example}, {note: Ask first.}, {tag: vip}]}
    teams:
      sales: {rules: [{name: c, then: [{route: support}]}]}
    """)


def judged(text: str, **changes: Any) -> dict[str, Any]:
    found, policy = facts(**changes), rules(text)
    return json_of(Judgement(found, decide(found, policy), tuple(explain(found, policy))))


def page(found: dict[str, Any]) -> str:
    """Without columns: what stands on each line, the words with one space between."""
    lines = judgement_lines(found)
    return "\n".join(" ".join("".join(w.text for w in (*x.head, *x.body)).split()) for x in lines)


def test_it_says_which_ticket_is_joined_and_that_a_rule_wants_another() -> None:
    opened = replace(candidate(Evidence.OPEN_TICKET), number=17)
    found = judged(POLICY, candidates=(opened,))
    assert found["joins"] == 17
    assert "new mail, ticket: join 17" in page(found)
    another = judged("{accept: {join_open_ticket: true}, rules: [{then: [new_ticket]}]}", candidates=(opened,))
    assert another["joins"] is None
    assert "new mail, ticket: new\n" in page(another)
    assert "effectnew_ticket\n" in page(another)


def test_it_says_who_would_take_part() -> None:
    found = judged("", cc=(Address("dave@customer.example", "Dave"),))
    assert found["participants"] == [{"address": "dave@customer.example", "name": "Dave"}]
    assert "participantDave <dave@customer.example> cc" in page(found)


def test_each_effect_says_what_it_does() -> None:
    shown = page(judged(POLICY))
    otherwise = "otherwise (teams support, strategy round-robin)"
    assert f"effectassign teams sales finance, strategy least-open, {otherwise}" in shown
    assert "effectmailbox mailbox billing@acme.example" in shown
    assert "effectnote note Ask first., rule b" in shown


def test_the_rules_of_the_team_stand_behind_the_account_s() -> None:
    shown = page(judged(POLICY))
    assert "ruleteam sales: c matched\n-- team: already decided by a\n-- assignee: already decided by a" in shown


def test_all_of_it_is_one_json_document() -> None:
    opened = replace(candidate(Evidence.OPEN_TICKET), last_activity=facts().now)
    json.dumps(judged(POLICY, candidates=(opened,)))


def test_it_says_that_a_recipient_is_nobodys_here() -> None:
    ours, foreign = "support@acme.gw.example", "help@elsewhere.example"
    place = {
        "own_addresses": frozenset({ours}),
        "receiving_domains": frozenset({"acme.gw.example", "mail.acme.example"}),
    }

    def told(*recipients: str, source: str = "test", **more: Any) -> list[str]:
        found = judged(POLICY, recipients=recipients, source=source, account_domain="acme.gw.example", **place, **more)
        return list(found["recipients_of_no_mailbox"])

    assert told(foreign, ours) == [foreign]
    assert told("nobody@acme.gw.example") == ["nobody@acme.gw.example"]
    assert told("Support+tag@ACME.gw.example", "support@mail.acme.example") == []
    assert told("postmaster@acme.gw.example", exempt=True) == []
    assert told(foreign, source="smtp") == []  # it was judged when it came
    shown = page(judged(POLICY, recipients=(foreign,), source="test"))
    assert f"{foreign} is no address of this account" in shown
    assert "no address of this account" not in page(judged(POLICY))
