"""What a new version of a policy would take away, and that a person agrees to before it is published: all of it at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gateway.commands.replay import Replay
from gateway.core.errors import InvalidInput

REPLAYED = timedelta(days=7)
"""How much past mail a new version is tried on before it is live."""


@dataclass(frozen=True, slots=True)
class Losses:
    """`rules`: names of rules that teams' managers published; `replay`: the past mail it was tried on, None where none of that
    fares worse (or none was tried). False where nothing is lost.
    """

    rules: tuple[str, ...] = ()
    replay: Replay | None = None

    def __bool__(self) -> bool:
        return bool(self.rules or self.replay)

    def told(self, what: str = "this document") -> str:
        """Every loss, one after the other; `what` is to be published."""
        return "; and ".join([*self._rules_told(what), *self._mail_told()])

    def _rules_told(self, what: str) -> list[str]:
        if not self.rules:
            return []
        whose = (
            "a rule that a team's manager" if len(self.rules) == 1 else f"{len(self.rules)} rules that teams' managers"
        )
        return [f"{what} lacks, or changes, {whose} published: {', '.join(self.rules)}"]

    def _mail_told(self) -> list[str]:
        if self.replay is None:
            return []
        count = f"{len(self.replay.worse)} of {self.replay.compared} messages of the last {REPLAYED.days} days"
        return [f"{count} were ticketed and would be refused, ignored or quarantined"]


class NotAgreed(InvalidInput):
    """Something would be lost, and nobody agreed to that; `losses` is all of it. Nothing was published."""

    def __init__(self, losses: Losses, what: str = "this document") -> None:
        cure = " `gateway policy show` has them: publish a document with them in it." if losses.rules else ""
        super().__init__(f"{losses.told(what)}; nothing is published.{cure} If that is meant, do it again with --yes")
        self.losses = losses
