"""What `/metrics` and `/healthz` tell: figures that are counted when asked for, and how late the event loop is."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from gateway import log, metrics
from gateway.core.clock import now
from gateway.core.errors import Surroundings
from gateway.duties import rounds
from gateway.offload import Offload
from gateway.store.backlog import backlog
from gateway.store.engine import Store

SAMPLE_SECONDS = 0.5
WINDOW_SECONDS = 10
UNHEALTHY_LAG_SECONDS = 1.0
_FRESH_SECONDS = 5.0
"""Anybody may ask for the figures: the database is counted in no more often."""
_PATIENCE_SECONDS = 2.0
"""How long a scrape waits for the database; Prometheus gives up after 10 s."""


class LoopLag:
    """How late a sleep of half a second ends: what every session on this loop waits besides its own work."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=int(WINDOW_SECONDS / SAMPLE_SECONDS))

    @property
    def worst(self) -> float:
        """Seconds, of the last ten."""
        return max(self._late, default=0.0)

    def note(self, seconds: float) -> None:
        self._late.append(max(0.0, seconds))
        metrics.LOOP_LAG_SECONDS.set(self.worst)

    async def watch(self) -> None:
        """Until cancelled."""
        await rounds("loop lag", self.sample, 0)

    async def sample(self) -> None:
        """One, of SAMPLE_SECONDS."""
        loop = asyncio.get_running_loop()
        due = loop.time() + SAMPLE_SECONDS
        await asyncio.sleep(SAMPLE_SECONDS)
        self.note(loop.time() - due)


class Figures:
    """The exposition. `pool` is not the store's own: a database that hangs must not take threads from mail."""

    def __init__(self, store: Store, pool: Offload) -> None:
        self._store = store
        self._pool = pool
        self._counting: asyncio.Task[None] | None = None
        self._fresh_until = float("-inf")
        self._log = log.get("figures")

    async def exposition(self) -> bytes:
        """All figures. While the database does not answer, what was counted in it last stays, and the rest is current."""
        if self._counting is None and time.monotonic() >= self._fresh_until:
            self._counting = asyncio.get_running_loop().create_task(self._count())
        if self._counting is not None:
            await asyncio.wait({self._counting}, timeout=_PATIENCE_SECONDS)
        return await asyncio.to_thread(metrics.exposition)

    async def _count(self) -> None:
        try:
            found = await self._pool(backlog, self._store)
        except Surroundings as error:
            self._log.warning("backlog not counted", error=str(error))
            return
        finally:
            self._counting = None
            self._fresh_until = time.monotonic() + _FRESH_SECONDS
        metrics.OUTBOX_WAITING.set(found.notifications)
        age = (now() - found.oldest_at).total_seconds() if found.oldest_at else 0.0
        metrics.OUTBOX_AGE_SECONDS.set(max(0.0, age))
        metrics.PARKED.set(found.parked)
