"""What was wrong with a message, as short stable strings."""

from __future__ import annotations

from gateway.core.ambiguity import AMBIGUOUS

MOST = 50
"""Defects kept of one message: a bomb of broken parts must not become a bomb of defects. Those that make it ambiguous
are always kept: they are few, and a message must not hide one behind fifty others.
"""


class Defects:
    """Collects defects once each, in the order they were met."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def add(self, defect: str) -> None:
        if len(self._seen) < MOST or defect in AMBIGUOUS:
            self._seen[defect] = None

    def found(self) -> tuple[str, ...]:
        return tuple(self._seen)
