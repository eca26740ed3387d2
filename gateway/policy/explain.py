"""Every rule with every condition and the value it saw, whether it matched or not: for `policy test`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.decision import ConditionTrace, Facts, Hit
from gateway.policy.engine import Policy, read
from gateway.policy.reading import Reading
from gateway.policy.rules import CompiledRule, run_rules


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule. `result` is `matched`, `not matched`, `not seen` (it is not for this kind of mail) or `not reached`
    (a rule before it stopped). `effects` were granted; `already_decided` pairs what it wanted to set with who had decided it,
    `withheld` what it asked for with why that is not done.
    """

    rule: str
    result: str
    conditions: tuple[ConditionTrace, ...]
    effects: tuple[str, ...] = ()
    already_decided: tuple[tuple[str, str], ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()
    stops: bool = False


def explain(facts: Facts, policy: Policy) -> list[RuleTrace]:
    """The rules of the policy in their order, as they would judge this message if nothing before them had (`decide`
    tells what came first: scan, author, block, files). Entries of `block` come first, named `block 1`, `block 2`, ...; the
    rules of the team that the mail reaches come last, named `team finance: ...`.
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
    run = run_rules(policy.rules, policy.team_rules, reading)
    hits = {hit.rule: hit for hit in run.hits}
    traces += [_trace(rule, result, hits.get(rule.name), reading) for rule, result in run.results]
    return traces


def _trace(rule: CompiledRule, result: str, hit: Hit | None, reading: Reading) -> RuleTrace:
    if hit is None:
        return RuleTrace(rule.name, result, rule.traces(reading))
    granted = (hit.effects, hit.already_decided, hit.withheld)
    return RuleTrace(rule.name, result, hit.conditions, *granted, stops=rule.stop)
