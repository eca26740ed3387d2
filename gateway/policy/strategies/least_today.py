"""`least-today`: whoever got the fewest tickets today, then in turn."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ports import AgentCandidate, Strategy


class _LeastToday:
    name = "least-today"
    counts: tuple[str, ...] = ("today",)

    def choose(self, candidates: Sequence[AgentCandidate]) -> AgentCandidate | None:
        return min(candidates, key=lambda c: (c.today, c.last_turn, c.id), default=None)


STRATEGY: Strategy = _LeastToday()
