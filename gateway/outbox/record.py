"""The record of attempts: whatever has ended while one transaction was written goes into the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway import log
from gateway.core.clock import now
from gateway.core.errors import Surroundings
from gateway.offload import Offload
from gateway.store import outbox
from gateway.store.engine import Store
from gateway.store.outbox import Settlement

MOST = 64
AGAIN_SECONDS = 1.0


class Recorder:
    """Belongs to one event loop. `done` hears of what is on record, or never will be."""

    def __init__(self, store: Store, pool: Offload, done: Callable[[Sequence[Settlement]], None]) -> None:
        self._store = store
        self._pool = pool
        self._done = done
        self._waiting: list[Settlement] = []
        self._writing: asyncio.Task[None] | None = None
        self._stopping = False
        self._log = log.get("outbox")

    def add(self, settlement: Settlement) -> None:
        self._waiting.append(settlement)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_all())

    async def finish(self) -> None:
        """Until all is on record; a database that is away now is not waited for, and leases run out by themselves."""
        self._stopping = True
        if self._writing:
            await self._writing

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            await self._write(batch)
            self._done(batch)
        self._writing = None

    async def _write(self, batch: Sequence[Settlement]) -> None:
        """Tried again and again: unrecorded, a row whose mail is out would be sent a second time."""
        while True:
            try:
                await self._pool(outbox.settle, self._store, batch, now())
            except Surroundings as error:
                self._log.warning("attempts not recorded", count=len(batch), error=str(error))
                if self._stopping:
                    return
                await asyncio.sleep(AGAIN_SECONDS)
            except Exception as error:  # noqa: BLE001  one that breaks our code keeps no other from its record
                if len(batch) > 1:
                    for one in batch:
                        await self._write([one])
                    return
                self._log.error("attempt not recorded", outbox=batch[0].claim.id, exc_info=error)
                return
            else:
                return
