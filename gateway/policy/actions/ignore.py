"""`ignore`: kept, but no ticket."""

from __future__ import annotations

from gateway.core.decision import Disposition
from gateway.core.outcome import Reason
from gateway.policy.actions._disposition import DispositionAction

ACTION = DispositionAction(Disposition.IGNORE, Reason.IGNORED_BY_RULE)
