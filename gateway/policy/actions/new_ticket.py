"""`new_ticket`: a ticket of its own, though the mail belongs to another one (it is an answer, or `join_open_ticket`)."""

from __future__ import annotations

from typing import Any, Literal

from gateway.core.decision import NewTicket
from gateway.policy.action import Order
from gateway.policy.reading import Reading


def _unless(reading: Reading) -> str:
    return "it is an agent's own, and stays with its ticket" if reading.belonging.from_agent else ""


class _NewTicket:
    name = "new_ticket"
    Params = Literal[True]
    bare = True

    def orders(self, params: Literal[True]) -> tuple[Order, ...]:
        del params  # always true
        return (Order(NewTicket(), self.name, ("ticket",), unless=_unless),)


ACTION: Any = _NewTicket()
