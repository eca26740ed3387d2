"""Admins are told when mail waits because a new version would not ticket what the one before did."""

from __future__ import annotations

from gateway.commands.late_scan import Bench
from gateway.jobs.job import Turn
from gateway.store.policy_notices import queue_probation_notices


class ProbationNotices:
    name = "probation-notices"
    every = 60.0

    async def run(self, bench: Bench, turn: Turn) -> str:
        owed = await bench.line.store_pool(queue_probation_notices, bench.line.store, turn.now)
        return f"{owed} notices of a version on probation are owed" if owed else ""


JOB = ProbationNotices()
