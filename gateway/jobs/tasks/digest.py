"""Admins who asked for it are owed the daily digest of what is held back."""

from __future__ import annotations

from gateway.commands.late_scan import Bench
from gateway.jobs.job import Turn
from gateway.store.digests import queue_digests


class DailyDigest:
    """Looked at often, because accounts live in different time zones; each gets one a day."""

    name = "digest"
    every = 600.0

    async def run(self, bench: Bench, turn: Turn) -> str:
        owed = await bench.line.store_pool(queue_digests, bench.line.store, turn.now)
        return f"{owed} digests are owed" if owed else ""


JOB = DailyDigest()
