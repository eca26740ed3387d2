"""Kept files are scanned again when the scanners have other signatures than the last time."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from gateway import log
from gateway.commands.late_scan import Bench
from gateway.commands.rescan import Tally, Tries, WentAway, rescan
from gateway.jobs.job import Turn
from gateway.store.kept_files import Place, Scope

KEEP_SECONDS = 2.0
"""How much of a hunt is done again after a kill."""
NAMED = 3
"""Of what was passed over so many are named in the result; the log names all."""


@dataclass(slots=True)
class _Hunt:
    """`state`: `version` of the signatures this is about, `after` how far it came, `done` when it was everything, `tries` of
    what the scanner does not survive: all of it is forgotten when the signatures are others.
    """

    turn: Turn
    version: str
    found: int
    tries: Tries
    after: Place | None
    kept_at: float = field(default_factory=monotonic)

    @classmethod
    def of(cls, turn: Turn, version: str) -> _Hunt:
        state = turn.state if turn.state.get("version") == version else {}
        after = state.get("after")
        tries = {key: (int(times), str(why)) for key, (times, why) in state.get("tries", {}).items()}
        return cls(turn, version, int(state.get("found", 0)), tries, (after[0], after[1]) if after else None)

    async def on_place(self, place: Place, tally: Tally) -> None:
        self.after = place
        if monotonic() > self.kept_at + KEEP_SECONDS:
            self.kept_at = monotonic()
            await self.keep(tally)

    async def keep(self, tally: Tally, **more: Any) -> None:
        state = {"version": self.version, "found": self.found + len(tally.found), "tries": self.tries}
        await self.turn.keep(state | ({"after": list(self.after)} if self.after else {}) | more)


class Rescan:
    name = "rescan"
    every = 300.0

    async def run(self, bench: Bench, turn: Turn) -> str:
        """Where the scanner goes away, that is how it ends: the next run, minutes later, begins with what it had then."""
        version = await bench.scans.version()
        if not version or (turn.state.get("version") == version and turn.state.get("done")):
            return ""
        hunt = _Hunt.of(turn, version)
        try:
            tally = await rescan(
                bench, Scope(), by=f"signatures {version}", after=hunt.after, on_place=hunt.on_place, tries=hunt.tries
            )
        except WentAway as away:
            await hunt.keep(away.tally)
            raise
        await hunt.keep(tally, done=True)
        for passed in tally.passed_over:
            log.get("jobs").warning("passed over until the next signatures", job=self.name, what=str(passed))
        return _sentence(version, tally, turn.state["found"])


def _sentence(version: str, tally: Tally, found: int) -> str:
    said = f"{tally.files} kept files of {tally.messages} messages scanned with {version}: {found} infected"
    said += f", {len(tally.unreadable)} messages could not be read" if tally.unreadable else ""
    if not tally.passed_over:
        return said
    named = "; ".join(map(str, tally.passed_over[:NAMED]))
    return f"{said}, {len(tally.passed_over)} passed over until the next signatures: {named}"


JOB = Rescan()
