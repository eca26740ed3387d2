"""`round-robin`: in turn: whoever was chosen longest ago."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ports import AgentCandidate, Strategy


class _RoundRobin:
    name = "round-robin"
    counts: tuple[str, ...] = ()

    def choose(self, candidates: Sequence[AgentCandidate]) -> AgentCandidate | None:
        return min(candidates, key=lambda c: (c.last_turn, c.id), default=None)


STRATEGY: Strategy = _RoundRobin()
