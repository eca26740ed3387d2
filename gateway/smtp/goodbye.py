"""How a session ends by our will."""

from __future__ import annotations

from gateway.core.outcome import Reason
from gateway.smtp.replies import Reply


class Goodbye(Exception):
    """The session ends with this reply. `recorded`: it is told in the delivery log although no transaction was begun."""

    def __init__(self, reply: Reply, reason: Reason | None = None, *, recorded: bool = False) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.reason = reason
        self.recorded = recorded
