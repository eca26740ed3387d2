from __future__ import annotations

from gateway.core.decision import ConditionTrace
from gateway.policy.explain import RuleTrace, explain

from .shapes import candidate, facts, rules

POLICY = """
block: [{subject: casino}]
rules:
  - {name: a, if: {subject: x}, then: [{tag: a}]}
  - {name: b, then: [{route: sales}, {tag: b}], stop: false}
  - {name: c, if: {verified: true}, then: [{route: support}], stop: true}
  - {name: d, if: {kind: new}, then: [ignore]}
"""


def test_every_rule_is_explained_whether_it_matched_or_not():
    assert explain(facts(), rules(POLICY)) == [
        RuleTrace("block 1", "not matched", (ConditionTrace("subject", 'exact "casino"', "Broken pump", False),)),
        RuleTrace("a", "not matched", (ConditionTrace("subject", 'exact "x"', "Broken pump", False),)),
        RuleTrace("b", "matched", (), ("route: sales", "tag: b")),
        RuleTrace(
            "c",
            "matched",
            (ConditionTrace("verified", "true", "verified", True),),
            (),
            (("team", "b"), ("assignee", "b")),
            stops=True,
        ),
        RuleTrace("d", "not reached", (ConditionTrace("kind", "new", "new", True),)),
    ]


def test_rules_for_new_mail_do_not_see_answers():
    results = {t.rule: t.result for t in explain(facts(candidates=(candidate(),)), rules(POLICY))}
    assert results == {"block 1": "not matched", "a": "not seen", "b": "not seen", "c": "not seen", "d": "not matched"}


def test_block_is_explained_too():
    assert explain(facts(subject="Casino"), rules(POLICY))[0].result == "matched"
    assert explain(facts(subject="Casino", exempt=True), rules(POLICY))[0].result == "not seen"
