"""What one decision costs: 500 rules on a body of 5,000 characters, by the kind of pattern. Run: python -m bench.policy_decide."""

from __future__ import annotations

import random
import statistics
import string
import time
from collections.abc import Callable
from dataclasses import replace

from gateway.policy.engine import compile_policy, decide
from gateway.policy.loader import load
from tests.unit.policy.shapes import facts

RULES = 500
ROUNDS = 500


def word(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_lowercase, k=8))


SHAPES: dict[str, Callable[[str, str], str]] = {
    "contains": lambda a, _: f"body: {{contains: {a}}}",
    "wildcard": lambda a, b: f'body: {{wildcard: "*{a}*{b}*"}}',
    "regex": lambda a, b: f"body: {{regex: '(?i)\\b{a[:4]}\\w*{b[:4]}'}}",
    "sender": lambda a, _: f'sender: {{wildcard: "*@{a}.example"}}',
}


def main() -> None:
    chance = random.Random(1)
    body = " ".join(word(chance) for _ in range(600))[:5000]
    mail = facts()
    mail = replace(mail, message=replace(mail.message, text=body))
    for name, condition in SHAPES.items():
        lines = [f"- {{if: {{{condition(word(chance), word(chance))}}}, then: [{{tag: a}}]}}" for _ in range(RULES)]
        policy = compile_policy(load("rules:\n" + "\n".join(lines)), 1)
        took = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            decide(mail, policy)
            took.append(1000 * (time.perf_counter() - started))
        p99 = statistics.quantiles(took, n=100)[98]
        print(
            f"{RULES} rules, {name}: first {took[0]:.2f} ms, median {statistics.median(took):.3f} ms, p99 {p99:.3f} ms"
        )


if __name__ == "__main__":
    main()
