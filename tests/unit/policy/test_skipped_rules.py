"""A published policy meets an RE2 that does not take one of its patterns: its rule is left out and told, the others hold."""

from __future__ import annotations

import pytest

from gateway.core.decision import Disposition, Tag
from gateway.policy import patterns
from gateway.policy.engine import Policy, compile_policy, decide
from gateway.policy.loader import load, load_published
from gateway.policy.patterns import BadPattern
from gateway.policy.problems import PolicyError
from gateway.policy.values import Known

from .shapes import facts

BAD = "(?i)pump"
POLICY = f"""
block: [{{subject: {{regex: '{BAD}'}}}}, {{subject: {{contains: casino}}}}]
author_from: [{{if: {{subject: {{regex: '{BAD}'}}}}, take: reply-to}}]
rules:
  - {{name: bad, if: {{subject: {{regex: '{BAD}'}}}}, then: [{{tag: bad}}]}}
  - {{name: none of bad, if: {{none: [{{subject: {{regex: '{BAD}'}}}}]}}, then: [quarantine], stop: true}}
  - {{name: good, if: {{subject: {{contains: broken}}}}, then: [{{tag: good}}]}}
teams: {{support: {{rules: [{{name: theirs, if: {{body: {{regex: '{BAD}'}}}}, then: [{{tag: theirs}}]}}]}}}}
"""


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Policy:
    healthy = patterns.compiled

    def compiled(pattern: str) -> object:
        if pattern == BAD:
            raise BadPattern("too new for this RE2")
        return healthy(pattern)

    document = load(POLICY)
    monkeypatch.setattr(patterns, "compiled", compiled)
    assert load_published(POLICY) == document
    return compile_policy(document, 7)


def test_rules_of_the_pattern_are_skipped_and_named(policy: Policy) -> None:
    names = ("author_from 1", "block 1", "bad", "none of bad", "team support: theirs")
    assert dict(policy.skipped) == dict.fromkeys(names, "too new for this RE2")


def test_a_rule_that_wants_none_of_it_does_not_hold_for_all_mail(policy: Policy) -> None:
    decision = decide(facts(), policy)
    assert decision.disposition is Disposition.ACCEPT
    assert [h.rule for h in decision.hits] == ["good"]
    assert Tag("good") in decision.effects


def test_what_is_well_goes_on_blocking(policy: Policy) -> None:
    assert decide(facts(subject="casino"), policy).disposition is Disposition.REJECT


def test_a_healthy_policy_skips_nothing() -> None:
    assert not compile_policy(load(POLICY), 7).skipped


@pytest.mark.parametrize(
    "text",
    [
        "block: [{subject: {regex: '(?=x)'}}]",
        "block: [{subject: “casino”}]",
        "block: [{sender: {wildcard: a@b.example}}]",
        "block: [{subject: '*casino*'}]",
        "block: [{sender: b.example}]",
        "attachments: {deny: [exee]}",
    ],
)
def test_what_was_published_stays_good_whatever_this_release_finds_wrong_with_it(text: str) -> None:
    with pytest.raises(PolicyError):
        load(text)
    compile_policy(load_published(text), 1)


def test_patterns_too_large_together_are_told_before_they_are_published() -> None:
    rules = "\n".join(f"- {{subject: {{regex: 'x{n}.{{1,999}}'}}}}" for n in range(30))
    load(f"block:\n{rules}")
    with pytest.raises(PolicyError, match=r"steps together, and at most 200,000 are taken: repeat less"):
        load(f"block:\n{rules}", Known())


def test_patterns_too_slow_together_are_told_before_they_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = "\n".join(f"- {{body: {{wildcard: '*a*b*{n}*'}}}}" for n in range(50))
    load(f"block:\n{rules}", Known())
    monkeypatch.setattr("gateway.policy.pattern_cost.MOST_MICROSECONDS_A_CHARACTER", 0.001)
    with pytest.raises(PolicyError, match=r"the patterns about `body` take .* use `contains`"):
        load(f"block:\n{rules}", Known())


@pytest.mark.parametrize(
    ("costly", "line", "path"),
    [
        ("subject: {regex: 'a.*b.*c.{1,400}d'}", 4, "rules[2].if.any[0].subject"),
        ("header: {X-Spam: {wildcard: '*a*b*c*d*e*f*'}}", 4, "rules[2].if.any[0].header.X-Spam"),
        ("ticket: {team: {wildcard: '*a*b*c*d*e*f*'}}", 4, "rules[2].if.any[0].ticket.team"),
    ],
)
def test_patterns_that_cost_too_much_are_told_at_the_most_costly_of_them(
    costly: str, line: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap = (
        costly.split(":", maxsplit=1)[0] + ": " + (costly.split(":")[1] + ": x}" if costly.count(": {") > 1 else "x")
    )
    text = f"""rules:
  - {{if: {{{cheap}, kind: answer}}, then: [{{tag: x}}]}}
  - {{if: {{sender: a@b.example, kind: answer}}, then: [{{mailbox: a@b.example}}]}}
  - {{if: {{any: [{{{costly}}}], kind: answer}}, then: [{{tag: x}}]}}
body: html
"""
    known = Known(frozenset({"x"}), frozenset({"a@b.example"}))
    load(text, known)
    monkeypatch.setattr("gateway.policy.pattern_cost.MOST_MICROSECONDS_A_CHARACTER", -1)
    with pytest.raises(PolicyError, match="the most costly one is here") as caught:
        load(text, known)
    (found,) = caught.value.problems
    assert (found.line, found.path) == (line, path)


def test_one_pattern_too_large_is_told_at_its_place() -> None:
    with pytest.raises(PolicyError, match=r"line 1, column 27: this pattern becomes 13,\d+ steps, and at most 10,000"):
        load("block: [{subject: {regex: '(?i).{1,700}é.{1,800}'}}]")
