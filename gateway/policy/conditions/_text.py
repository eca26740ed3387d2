"""The shape of conditions that compare one field with matchers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.policy.condition import Test, matches
from gateway.policy.matchers import Wanted
from gateway.policy.patterns import Field, PatternBook


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """Holds when any matcher holds for any value of the field."""

    where: Field
    Params: Any

    @property
    def name(self) -> str:
        return self.where.key

    def test(self, params: Any, book: PatternBook) -> Test:
        return matches(self.where, Wanted(params, self.where, book))
