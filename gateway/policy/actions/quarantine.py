"""`quarantine`: the whole message waits for an admin."""

from __future__ import annotations

from gateway.core.decision import Disposition
from gateway.core.outcome import Reason
from gateway.policy.actions._disposition import DispositionAction

ACTION = DispositionAction(Disposition.QUARANTINE, Reason.QUARANTINED_BY_RULE)
