"""The shape of conditions that compare one word of ours with a word, or a list of words, from a fixed choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.policy.condition import Test
from gateway.policy.patterns import PatternBook
from gateway.policy.reading import Reading


@dataclass(frozen=True, slots=True)
class ChoiceCondition:
    """Holds when the value read is one of those wanted."""

    name: str
    Params: Any
    read: Callable[[Reading], str]

    def test(self, params: Any, book: PatternBook) -> Test:
        del book  # no pattern to enter
        wanted = frozenset(params)
        return Test(lambda reading: self.read(reading) in wanted, " or ".join(params), self.read)
