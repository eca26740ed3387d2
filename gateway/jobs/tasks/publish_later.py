"""Versions of policies whose time has come are published."""

from __future__ import annotations

from gateway.commands.late_scan import Bench
from gateway.commands.schedule import publish_due
from gateway.jobs.job import Turn


class PublishLater:
    name = "publish-later"
    every = 10.0

    async def run(self, bench: Bench, turn: Turn) -> str:
        return "; ".join(await bench.line.store_pool(publish_due, bench.line.store, turn.now))


JOB = PublishLater()
