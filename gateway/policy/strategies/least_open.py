"""`least-open`: whoever has the fewest open tickets, then in turn."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ports import AgentCandidate, Strategy


class _LeastOpen:
    name = "least-open"
    counts: tuple[str, ...] = ("open",)

    def choose(self, candidates: Sequence[AgentCandidate]) -> AgentCandidate | None:
        return min(candidates, key=lambda c: (c.open, c.last_turn, c.id), default=None)


STRATEGY: Strategy = _LeastOpen()
