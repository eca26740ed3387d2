"""What has waited in quarantine for longer than its account keeps it goes, and leaves its tombstone."""

from __future__ import annotations

from gateway.commands.late_scan import Bench
from gateway.jobs.job import Turn
from gateway.store.erasure import expire_quarantined


class QuarantineRetention:
    name = "quarantine-retention"
    every = 3600.0

    async def run(self, bench: Bench, turn: Turn) -> str:
        line = bench.line
        gone = await line.store_pool(expire_quarantined, line.store, line.blobs, turn.now)
        return f"{gone} messages expired in quarantine" if gone else ""


JOB = QuarantineRetention()
