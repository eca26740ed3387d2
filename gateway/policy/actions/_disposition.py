"""The shape of actions that decide what becomes of the whole message and take no parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.decision import Disposition
from gateway.core.outcome import Reason
from gateway.policy.action import Order, Verdict


@dataclass(frozen=True, slots=True)
class DispositionAction:
    """Written as a word (`ignore`), or `ignore: true`."""

    disposition: Disposition
    reason: Reason
    Params: Any = Literal[True]
    bare: bool = True

    @property
    def name(self) -> str:
        return self.disposition.value

    def orders(self, params: Literal[True]) -> tuple[Order, ...]:
        del params  # always true
        return (Order(Verdict(self.disposition, self.reason), self.name, ("disposition",)),)
