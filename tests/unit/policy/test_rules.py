from __future__ import annotations

from gateway.core.decision import Acknowledge, Assign, Disposition, Notify, Route, Set, Tag, TicketChoice
from gateway.core.outcome import Reason
from gateway.core.reports import Path

from .shapes import candidate, judged


def effects(text, **changes):
    return [e for e in judged(text, **changes).effects if not isinstance(e, Acknowledge)]


def hits(text, **changes):
    return [h.rule for h in judged(text, **changes).hits]


# -- actions


def test_each_action_has_its_effect():
    text = """
    rules:
      - then:
          - assign: {team: [sales, support], strategy: round-robin, last_agent_first: true, reassign: true}
          - set: {priority: urgent, state: pending, language: pt-BR, fields: {plan: gold, seats: 3}}
          - tag: [vip, vip, eu]
          - notify: [boss@acme.example, assignee, {team: sales}]
          - notify: {to: {team: support}}
          - notify_only: cfo@acme.example
    """
    assert effects(text) == [
        Assign(None, ("sales", "support"), "round-robin", last_agent_first=True, reassign=True),
        Set("priority", "urgent"),
        Set("state", "pending"),
        Set("language", "pt-BR"),
        Set("fields.plan", "gold"),
        Set("fields.seats", "3"),
        Tag("vip"),
        Tag("eu"),
        Notify(("boss@acme.example", "assignee", "team:sales")),
        Notify(("team:support",)),
        Notify(("cfo@acme.example",), only=True),
    ]


def test_short_forms():
    assert effects("rules: [{then: [{route: sales}]}]") == [Route("sales")]
    assert effects("rules: [{then: [{route: {team: sales, reassign: true}}]}]") == [Route("sales", reassign=True)]
    assert effects("rules: [{then: [{assign: ann@acme.example}]}]") == [Assign("ann@acme.example")]
    assert effects("rules: [{then: [{notify: {team: sales}}]}]") == [Notify(("team:sales",))]
    assert effects("rules: [{then: [{assign: {team: sales}}]}]") == [Assign(teams=("sales",), strategy="least-open")]


def test_an_action_of_two_keys_does_both():
    assert set(effects("rules: [{then: [{tag: a, set: {priority: low}}]}]")) == {Tag("a"), Set("priority", "low")}


def test_bare_actions():
    for written in ("ignore", "{ignore: true}", "{ignore: }"):
        decision = judged(f"rules: [{{then: [{written}]}}]")
        assert (decision.disposition, decision.reason) == (Disposition.IGNORE, Reason.IGNORED_BY_RULE)
    decision = judged("rules: [{then: [quarantine]}]")
    assert (decision.disposition, decision.reason) == (Disposition.QUARANTINE, Reason.QUARANTINED_BY_RULE)


def test_reject_says_its_text_in_the_session_and_quarantines_behind_a_forwarder():
    text = "rules: [{then: [{reject: ' write to sales '}]}]"
    direct = judged(text)
    assert (direct.disposition, direct.reason, direct.text) == (
        Disposition.REJECT,
        Reason.REJECTED_BY_RULE,
        "write to sales",
    )
    assert judged(text, path=Path.FORWARDER).disposition is Disposition.QUARANTINE
    assert judged(text, path=Path.FORWARDER).reason is Reason.REJECTED_BY_RULE


# -- how rules work


FIRST_WINS = """
rules:
  - {name: one, then: [{route: sales}, {set: {priority: low}}, {tag: a}]}
  - {name: two, then: [{assign: ann@acme.example}, {set: {priority: high, state: closed}}, {tag: [a, b]}]}
  - {name: three, then: [{set: {state: open, language: de, fields: {x: "1"}}}, {notify: [x@y.example]}]}
  - {name: four, then: [{set: {language: en, fields: {x: "2", y: "3"}}}, {notify: [z@y.example]}]}
"""


def test_the_first_to_decide_a_thing_wins_and_the_rest_adds_up():
    assert effects(FIRST_WINS) == [
        Route("sales"),
        Set("priority", "low"),
        Tag("a"),
        Set("state", "closed"),
        Tag("b"),
        Set("language", "de"),
        Set("fields.x", "1"),
        Notify(("x@y.example",)),
        Set("fields.y", "3"),
        Notify(("z@y.example",)),
    ]


def test_what_came_later_is_kept_with_who_decided_before():
    _, two, three, four = judged(FIRST_WINS).hits
    assert two.already_decided == (("team", "one"), ("assignee", "one"), ("priority", "one"))
    assert two.effects == ("set: state = closed", "tag: a", "tag: b")
    assert three.already_decided == (("state", "two"),)
    assert four.already_decided == (("language", "three"), ("fields.x", "three"))


def test_the_first_disposition_wins():
    decision = judged("rules: [{name: a, then: [quarantine]}, {name: b, then: [ignore]}]")
    assert decision.disposition is Disposition.QUARANTINE
    assert decision.hits[1].already_decided == (("disposition", "a"),)


def test_stop_ends_only_when_its_rule_matched():
    text = """
    rules:
      - {name: a, if: {subject: nothing}, then: [{tag: a}], stop: true}
      - {name: b, if: {subject: {contains: pump}}, stop: true}
      - {name: c, then: [{tag: c}]}
    """
    assert hits(text) == ["b"]
    assert hits(text, subject="x") == ["c"]


def test_rules_without_a_name_are_known_by_their_place():
    assert hits("rules: [{stop: false, then: [{tag: x}]}, {then: [{tag: y}]}]") == ["rule 1", "rule 2"]


def test_a_rule_sees_only_mail_that_would_open_a_ticket():
    text = "rules: [{name: a, then: [{tag: x}]}]"
    assert hits(text) == ["a"]
    assert hits(text, automatic="auto-submitted") == ["a"]
    assert hits(text, is_list=True) == ["a"]
    assert hits(text, candidates=(candidate(),)) == []


def test_a_rule_that_names_kind_sees_all_mail():
    for where in ("kind: [new, answer]", "any: [{kind: answer}, {subject: x}]", "none: [{all: [{kind: bounce}]}]"):
        assert hits(f"rules: [{{name: a, if: {{{where}}}, then: [{{tag: x}}]}}]", candidates=(candidate(),)) == ["a"]


def test_on_an_answer_route_and_assign_need_reassign():
    text = """
    rules:
      - {name: a, if: {kind: answer}, then: [{route: sales}, {assign: ann@acme.example}, {tag: x}]}
      - {name: b, if: {kind: answer}, then: [{assign: {team: sales, reassign: true}}]}
    """
    decision = judged(text, candidates=(candidate(),))
    assert decision.effects == (Tag("x"), Assign(teams=("sales",), reassign=True))
    kept = "the ticket (an answer moves it only with reassign: true)"
    assert decision.hits[0].already_decided == (("team", kept), ("assignee", kept)) * 2


def test_a_hit_keeps_every_condition_with_the_value_it_saw():
    text = """
    rules:
      - name: a
        if:
          subject: {contains: PUMP}
          any: [{body: {contains: fire}}, {all: [{sender: {wildcard: "*@customer.example"}}]}]
          none: [{verified: false}]
        then: [{tag: x}]
    """
    conditions = judged(text).hits[0].conditions
    assert [(c.condition, c.expected, c.saw, c.holds) for c in conditions] == [
        ("subject", 'contains "PUMP"', "Broken pump", True),
        ("any[1].body", 'contains "fire"', "It leaks. Please help.", False),
        ("any[2].all[1].sender", 'wildcard "*@customer.example"', "Carol@customer.example", True),
        ("none[1].verified", "false", "verified", False),
    ]


def test_the_value_kept_is_capped_and_shows_what_matched():
    text = "rules: [{if: {body: {contains: needle}}, then: [{tag: x}]}]"
    saw = judged(text, text="hay " * 5000 + "NEEDLE in it" + " hay" * 500).hits[0].conditions[0].saw
    assert "NEEDLE in it" in saw
    assert len(saw) <= 200


def test_all_any_and_none():
    def matches(condition):
        return bool(hits(f"rules: [{{if: {{{condition}}}, then: [{{tag: x}}]}}]"))

    yes, no = "{subject: {contains: pump}}", "{subject: nothing}"
    assert matches(f"all: [{yes}, {yes}]")
    assert not matches(f"all: [{yes}, {no}]")
    assert matches(f"any: [{no}, {yes}]")
    assert not matches(f"any: [{no}, {no}]")
    assert matches(f"none: [{no}, {no}]")
    assert not matches(f"none: [{no}, {yes}]")
    assert not matches(f"any: [{yes}], none: [{yes}]")


def test_a_stranger_who_knows_a_message_id_drove_the_rules_of_answers():
    """It set state and priority, and moved the ticket, of somebody else."""
    text = """
    rules:
      - if: {kind: answer}
        then: [{set: {state: closed}}, {tag: [seen]}, {route: {team: finance, reassign: true}}, {note: "he wrote"}]
    """
    strangers = judged(text, candidates=(candidate(participant=False),))
    assert strangers.ticket is TicketChoice.NOTE
    assert [type(e).__name__ for e in strangers.effects] == ["Note"]
    assert [label for label, _ in strangers.hits[0].withheld] == ["set: state = closed", "tag: seen", "route: finance"]
    own = judged(text, candidates=(candidate(participant=True),))
    assert {"Set", "Tag", "Route"} <= {type(e).__name__ for e in own.effects}
