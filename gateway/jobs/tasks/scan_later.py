"""Messages that came while no scanner answered are scanned as soon as one does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from gateway.commands.late_scan import Bench, LateScan, scan_late
from gateway.core.errors import BlobUnavailable, UnknownThing
from gateway.core.reports import ScanStatus
from gateway.jobs.job import Turn
from gateway.scan.again import ScannerAway
from gateway.store.facts import UnreadableFacts
from gateway.store.kept_files import waiting

AT_ONCE = 100
PUT_OFF_AT_MOST = 200
"""So many are remembered as not to be tried each minute; the others are."""
_FIRST_PAUSE = timedelta(minutes=2)
_LONGEST_PAUSE = timedelta(hours=6)


class ScanLater:
    """What the scanner cannot scan even though it answers is put off longer each time, so that it keeps nobody waiting."""

    name = "scan-later"
    every = 60.0

    async def run(self, bench: Bench, turn: Turn) -> str:
        put_off = _not_over(turn.state.get("put_off", {}), turn.now)
        ended: list[LateScan] = []
        while batch := await self._next(
            bench, [i for i, (_, until) in put_off.items() if until > turn.now.timestamp()]
        ):
            for account_id, message_id in batch:
                try:
                    late = await self._one(bench, account_id, message_id)
                except ScannerAway:
                    # where this very message brings the scanner down, the others come before it the next time
                    _put_off(put_off, message_id, turn.now)
                    await turn.keep({"put_off": put_off})
                    return _sentence(ended, len(put_off))
                if late and late.status is not ScanStatus.UNSCANNED:
                    ended.append(late)
                    put_off.pop(message_id, None)
                else:
                    _put_off(put_off, message_id, turn.now)
            await turn.keep({"put_off": put_off})
            if len(put_off) >= PUT_OFF_AT_MOST:
                break
        return _sentence(ended, len(put_off))

    async def _next(self, bench: Bench, passing_over: list[str]) -> list[tuple[str, str]]:
        found = await bench.line.store_pool(waiting, bench.line.store, AT_ONCE, passing_over)
        if found:
            try:
                await bench.scans.require()
            except ScannerAway:
                return []  # it is what they wait for
        return found

    async def _one(self, bench: Bench, account_id: str, message_id: str) -> LateScan | None:
        try:
            return await scan_late(bench, account_id, message_id, by=self.name)
        except (BlobUnavailable, UnknownThing, UnreadableFacts) as error:
            return LateScan(ScanStatus.UNSCANNED, str(error))


def _not_over(put_off: dict[str, Any], now: datetime) -> dict[str, list[float]]:
    """What was not met again for a day is settled by now."""
    day = timedelta(days=1).total_seconds()
    return {i: list(value) for i, value in put_off.items() if value[1] > now.timestamp() - day}


def _put_off(put_off: dict[str, list[float]], message_id: str, now: datetime) -> None:
    times = put_off.get(message_id, [0, 0])[0] + 1
    pause = min(_FIRST_PAUSE * 2 ** min(times - 1, 10), _LONGEST_PAUSE)
    put_off[message_id] = [times, (now + pause).timestamp()]


def _sentence(ended: list[LateScan], put_off: int) -> str:
    if not ended:
        return ""
    infected = sum(1 for late in ended if late.status is ScanStatus.INFECTED)
    said = f"{len(ended)} messages that had waited for the scanner are scanned, {infected} of them infected"
    return f"{said}; {put_off} could not be scanned yet" if put_off else said


JOB = ScanLater()
