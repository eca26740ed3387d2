"""What a job is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.commands.late_scan import Bench
from gateway.core.errors import GatewayError
from gateway.jobs import tasks
from gateway.offload import Offload
from gateway.registry import plugins_of
from gateway.store import jobs as leases
from gateway.store.engine import Store


class LeaseLost(GatewayError):
    """Another node runs the job now: ours went on without renewing its lease."""


@dataclass(slots=True)
class Turn:
    """One run of a job. `state` is what the run before kept, or this one before it was killed."""

    now: datetime
    state: dict[str, Any]
    _name: str
    _by: str
    _store: Store
    _store_pool: Offload

    async def keep(self, state: dict[str, Any]) -> None:
        """Where this run stands: after a kill the next one goes on from here. Raises LeaseLost, StoreUnavailable."""
        if not await self._store_pool(leases.keep_state, self._store, self._name, state, by=self._by):
            raise LeaseLost(f"job {self._name}: another node has taken it over")
        self.state = state


class Job(Protocol):
    """`every`: so many seconds after the end of one run the next is due. A run may be cancelled at any `await`, and killed
    at any point: it is done again, so what it does must be right when it is done twice.
    """

    name: str
    every: float

    async def run(self, bench: Bench, turn: Turn) -> str:
        """A sentence that says what was done, empty for nothing. What it raises is recorded, and it is tried again."""
        ...


def all_jobs() -> Mapping[str, Job]:
    """By name. Raises BadPlugin."""
    return plugins_of(tasks, "JOB", Job)  # type: ignore[type-abstract]  # the port is what is asked for


Clock = Callable[[], datetime]
