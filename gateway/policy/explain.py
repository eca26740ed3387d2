"""Every rule with every condition and the value it saw, whether it matched or not: for `policy test`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.decision import ConditionTrace, Facts
from gateway.policy.engine import Policy, read
from gateway.policy.reading import Reading
from gateway.policy.rules import CompiledRule, RuleRun


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule. `result` is `matched`, `not matched`, `not seen` (it is not for this kind of mail) or `not reached`
    (a rule before it stopped). `effects` were granted; `already_decided` pairs what it wanted to set with who had decided it.
    """

    rule: str
    result: str
    conditions: tuple[ConditionTrace, ...]
    effects: tuple[str, ...] = ()
    already_decided: tuple[tuple[str, str], ...] = ()
    stops: bool = False


def explain(facts: Facts, policy: Policy) -> list[RuleTrace]:
    """The rules of the policy in their order, as they would judge this message if nothing before them had (`decide`
    tells what came first: scan, author, block, files). Entries of `block` come first, named `block 1`, `block 2`, ...
    """
    reading = read(facts, policy)
    traces = [
        RuleTrace(
            f"block {number}",
            "not seen" if facts.place.exempt else "matched" if clause.holds(reading) else "not matched",
            tuple(clause.traces(reading)),
        )
        for number, clause in enumerate(policy.block, 1)
    ]
    run, stopped = RuleRun(), False
    for rule in policy.rules:
        result = "not reached" if stopped else _result(rule, reading)
        if result != "matched":
            traces.append(RuleTrace(rule.name, result, rule.traces(reading)))
            continue
        hit = run.take(rule, reading)
        stopped = rule.stop
        traces.append(RuleTrace(rule.name, result, hit.conditions, hit.effects, hit.already_decided, rule.stop))
    return traces


def _result(rule: CompiledRule, reading: Reading) -> str:
    if not rule.sees(reading):
        return "not seen"
    return "matched" if rule.matches(reading) else "not matched"
