"""Kept files are scanned again when the scanners have other signatures than the last time."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from gateway.commands.late_scan import Bench
from gateway.commands.rescan import Tally, rescan
from gateway.jobs.job import Turn
from gateway.store.kept_files import Place, Scope

KEEP_SECONDS = 2.0
"""How much of a hunt is done again after a kill."""


@dataclass(slots=True)
class _Hunt:
    """`state`: `version` of the signatures this is about, `after` how far it came, `done` when it was everything."""

    turn: Turn
    version: str
    found: int
    kept_at: float = field(default_factory=monotonic)

    async def on_place(self, place: Place, tally: Tally) -> None:
        if monotonic() > self.kept_at + KEEP_SECONDS:
            self.kept_at = monotonic()
            await self.turn.keep(self.state(tally, after=list(place)))

    def state(self, tally: Tally, **more: Any) -> dict[str, Any]:
        return {"version": self.version, "found": self.found + len(tally.found), **more}


class Rescan:
    name = "rescan"
    every = 300.0

    async def run(self, bench: Bench, turn: Turn) -> str:
        version = await bench.scans.version()
        state = turn.state if turn.state.get("version") == version else {}
        if not version or state.get("done"):
            return ""
        after = state.get("after")
        hunt = _Hunt(turn, version, int(state.get("found", 0)))
        tally = await rescan(
            bench, Scope(), by=f"signatures {version}", after=(after[0], after[1]) if after else None,
            on_place=hunt.on_place,
        )  # fmt: skip
        await turn.keep(hunt.state(tally, done=True))
        return _sentence(version, tally, turn.state["found"])


def _sentence(version: str, tally: Tally, found: int) -> str:
    said = f"{tally.files} kept files of {tally.messages} messages scanned with {version}: {found} infected"
    return f"{said}, {len(tally.unreadable)} messages could not be read" if tally.unreadable else said


JOB = Rescan()
