"""The port of conditions: one file each in `conditions/`, found by scanning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.addresses import without_controls
from gateway.policy.matchers import Wanted
from gateway.policy.patterns import BODY_CHARACTERS, Field, PatternBook
from gateway.policy.reading import Reading

SAW_CHARACTERS = 200
"""How much of a value is kept with a hit."""


@dataclass(frozen=True, slots=True)
class Test:
    """One condition with its parameters: whether it holds, what it wanted, and the value it saw (in words)."""

    __test__ = False  # no test case, whatever pytest thinks of the name

    holds: Callable[[Reading], bool]
    expected: str
    saw: Callable[[Reading], str]


class Condition(Protocol):
    """`Params` is a type pydantic can validate: the JSON Schema comes from it. `test` is called once per policy."""

    name: str
    Params: Any

    def test(self, params: Any, book: PatternBook) -> Test: ...


def shown(text: str) -> str:
    """A value as it is kept: one line, capped."""
    flat = " ".join(without_controls(text[: 4 * SAW_CHARACTERS]).split())
    return flat if len(flat) <= SAW_CHARACTERS else flat[: SAW_CHARACTERS - 1] + "…"


def matches(where: Field, wanted: Wanted) -> Test:
    """The test of a condition that only asks whether matchers hold for a field."""

    def holds(reading: Reading) -> bool:
        return not wanted.numbers.isdisjoint(reading.hits(where))

    def saw(reading: Reading) -> str:
        values = where.read(reading.facts)
        if not values:
            return "(none)"
        for value in values:
            if not wanted.numbers.isdisjoint(reading.hits_in(where, value)):
                return shown(around(value, wanted.place_in(value[:BODY_CHARACTERS])))
        return shown(", ".join(v[:SAW_CHARACTERS] for v in values[:20]))

    return Test(holds, wanted.text, saw)


def around(text: str, place: int) -> str:
    """The text from a little before `place` on, so that what matched is seen in a long body."""
    if place < SAW_CHARACTERS // 2:
        return text[: 2 * SAW_CHARACTERS]
    start = place - SAW_CHARACTERS // 4
    return "…" + text[start : start + 2 * SAW_CHARACTERS]
