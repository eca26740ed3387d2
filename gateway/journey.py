"""One message on its way through the line: the stage it is in, and the steps of its trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from gateway import metrics
from gateway.core.clock import now
from gateway.core.decision import Facts
from gateway.core.envelope import Envelope
from gateway.core.trace import Step


@dataclass(frozen=True, slots=True)
class Again:
    """How a stored message goes the line once more. With `facts` nothing is judged anew: they are decided on.

    `released`: with quarantine off. `opened`: whatever keeps it from a ticket is off. `quiet`: nobody is told.
    """

    facts: Facts | None = None
    released: bool = False
    opened: bool = False
    quiet: bool = False


@dataclass(slots=True)
class Journey:
    """One message on its way: the steps of its trace, and the stage it is in."""

    envelope: Envelope
    message_id: str
    stage: str = "receive"
    broken: bool = False
    kept: str = ""
    began: float = field(default_factory=perf_counter)
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def in_stage(self, name: str, since: float | None = None) -> Iterator[dict[str, Any]]:
        """A stage of the line: its duration and what it put into the detail become a step of the trace. `since`: when its work
        began, where that was before (`time.perf_counter()`).
        """
        if not self.broken:
            self.stage = name
        detail: dict[str, Any] = {}
        began = perf_counter() if since is None else since
        try:
            yield detail
        except BaseException:
            # the stage to tell is the one that broke, not the one that keeps what it broke on
            if not self.broken:
                self.stage, self.broken = name, True
            raise
        # only a stage that ended well leaves a step; one that broke is told by the step that parks or defers
        outcome = str(detail.pop("outcome", "done"))
        reason = str(detail.pop("reason", ""))
        seconds = perf_counter() - began
        metrics.stage_seconds(name).observe(seconds)
        detail["milliseconds"] = round(seconds * 1000, 2)
        self.steps.append(Step(now(), name, outcome, reason, detail))
