"""Runs what is due, each job under its lease: looks each second, renews what runs, records how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from time import monotonic

from gateway import log, metrics
from gateway.commands.late_scan import Bench
from gateway.core.clock import new_id, now
from gateway.core.errors import GatewayError
from gateway.jobs.job import Clock, Job, Turn
from gateway.store import jobs as leases
from gateway.store.jobs import Lease
from gateway.store.sole import Sole

POLL_SECONDS = 1.0
RENEW_SECONDS = leases.LEASE.total_seconds() / 4
TRY_AGAIN_SECONDS = 300.0
"""What failed is not left until its usual time, where that is longer."""
_RESULT_CHARACTERS = 500


class JobRunner:
    """One task, and one more for each job that runs: a rescan of hours keeps no other job waiting."""

    def __init__(self, bench: Bench, jobs: Mapping[str, Job], clock: Clock = now, *, sole: Sole | None = None) -> None:
        """`sole`: once it is ours, what others hold is a dead one's. Without it, leases run out."""
        self._bench = bench
        self._store, self._store_pool = bench.line.store, bench.line.store_pool
        self._jobs = jobs
        self._clock = clock
        self._by = new_id()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._renewed_at = monotonic()
        self._sole = sole
        self._takes_over = sole is not None
        self._enrolled = False
        self._stopping = False
        self._wake = asyncio.Event()
        self._log = log.get("jobs")

    async def run(self) -> None:
        """Until `stop`; what runs then is cut, and due again at the next start."""
        while not self._stopping:
            await self._guarded("", self._round())
            await self._sleep()
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(self._running.values())
        # where this fails the leases run out by themselves
        await self._guarded("", self._store_pool(leases.give_back, self._store, by=self._by))
        if self._sole:
            self._sole.let_go()

    async def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _round(self) -> None:
        if self._takes_over and self._sole and self._sole.is_ours():
            await self._store_pool(leases.release_others, self._store, self._by)
            self._takes_over = False
        if not self._enrolled:
            await self._store_pool(leases.enrol, self._store, self._jobs.keys(), self._clock())
            self._enrolled = True
        await self._renew()
        idle = self._jobs.keys() - self._running.keys()
        for name in await self._store_pool(leases.due, self._store, idle, self._clock()):
            lease = await self._store_pool(leases.take, self._store, name, self._clock(), by=self._by)
            if lease and not self._stopping:
                self._begin(lease)

    async def _renew(self) -> None:
        if not self._running or monotonic() < self._renewed_at + RENEW_SECONDS:
            return
        self._renewed_at = monotonic()
        ours = await self._store_pool(leases.renew, self._store, [*self._running], self._clock(), by=self._by)
        for name in self._running.keys() - ours:
            self._log.warning("job cut: another node has taken it over", job=name)
            self._running[name].cancel()

    def _begin(self, lease: Lease) -> None:
        task = asyncio.get_running_loop().create_task(self._one(lease))
        self._running[lease.name] = task
        task.add_done_callback(lambda _: self._running.pop(lease.name, None))

    async def _one(self, lease: Lease) -> None:
        """Whatever happens is recorded; only a cancellation leaves the job as it is: due."""
        job = self._jobs[lease.name]
        log.trace_id.set("")
        turn = Turn(self._clock(), lease.state, lease.name, self._by, self._store, self._store_pool)
        try:
            said, failed = await self._guarded(job.name, job.run(self._bench, turn))
        except asyncio.CancelledError:
            metrics.JOB_RUNS.labels(job.name, "cut").inc()
            raise
        metrics.JOB_RUNS.labels(job.name, "failed" if failed else "done").inc()
        if said and not failed:
            self._log.info("job done", job=job.name, result=said)
        result = (f"failed: {said}" if failed else said)[:_RESULT_CHARACTERS]
        again_in = timedelta(seconds=min(job.every, TRY_AGAIN_SECONDS) if failed else job.every)
        settling = self._store_pool(
            leases.settle, self._store, job.name, self._clock(), by=self._by, again_in=again_in, result=result
        )
        await self._guarded(job.name, settling)

    async def _guarded(self, job: str, work: Awaitable[object]) -> tuple[str, bool]:
        """What it said, and whether it failed."""
        try:
            said = await work
        except GatewayError as error:
            self._log.warning("jobs wait" if not job else "job failed", job=job, error=str(error))
            return str(error), True
        except Exception as error:  # noqa: BLE001  the driver's one broad except: one bad job stops no other
            self._log.error("job failed", job=job, exc_info=error)
            return f"{type(error).__name__}: see the log", True
        return said if isinstance(said, str) else "", False
