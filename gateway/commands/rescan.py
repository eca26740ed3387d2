"""Kept files before the scanners again: what came in before a virus had a name is found when it has one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TypeVar

from gateway.commands.late_scan import Bench, LateScan, scan_late
from gateway.core.clock import now
from gateway.core.errors import BlobUnavailable, UnknownThing
from gateway.core.message import Part
from gateway.core.reports import Finding, ScanStatus
from gateway.scan.again import FileScan, ScannerAway
from gateway.store.facts import UnreadableFacts
from gateway.store.kept_files import Holder, KeptFile, Place, Scope, chunk, content_of, facts_of, holders_of, how_many
from gateway.store.late_scans import Marked, mark_infected

VERDICTS_KEPT = 100_000
"""Digests whose verdict is remembered, some 15 MB; a copy of a file that was forgotten is scanned once more."""
TRIES = 3
"""So often a file is scanned that the scanner does not survive, or gives no answer about; then it is passed over."""
_POLL_SECONDS = 1.0

Tries = dict[str, tuple[int, str]]
"""How often a file, by its SHA-256, or a message, by its id, was tried in vain, and what became of the last try."""
_Scan = TypeVar("_Scan", FileScan, LateScan)

OnProgress = Callable[[int, int], None]
OnPlace = Callable[[Place, "Tally"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that has become infected, in one message that holds it. `n` and `sha256` are empty for a message as a whole."""

    holder: Holder
    file: KeptFile | None
    virus: str
    marked: Marked


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What no scanner could scan in `TRIES` tries, and why: a file with all its copies, or without `file` a message."""

    holder: Holder
    file: KeptFile | None
    why: str

    def __str__(self) -> str:
        return f"{called(self.holder, self.file)}: {self.why}"


@dataclass(slots=True)
class Tally:
    """`files` were scanned, each digest once; `unscannable` could not be judged; `late` messages had their first scan;
    `passed_over` was tried in vain; `unreadable` messages could not be read at all, with the reason.
    """

    messages: int = 0
    files: int = 0
    unscannable: int = 0
    late: int = 0
    found: list[Found] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    unreadable: list[tuple[Holder, str]] = field(default_factory=list)


class WentAway(ScannerAway):
    """The scanner went away while it had a file, perhaps because of it: the text names it. `tally` says what was done."""

    def __init__(self, text: str, tally: Tally) -> None:
        super().__init__(text)
        self.tally = tally


async def _nowhere(_place: Place, _tally: Tally) -> None:
    return


async def rescan(
    bench: Bench,
    scope: Scope,
    *,
    by: str,
    after: Place | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
    on_place: OnPlace = _nowhere,
    tries: Tries | None = None,
    patience_seconds: float = 0.0,
) -> Tally:
    """Walk the kept files of `scope`, newest first, from behind `after` on; wherever copies of an infected one lie, they
    are treated the same. `on_place` is told after each batch how far all is done.

    What the scanner does not survive is passed over after `TRIES`: `tries` knows those of runs before, and grows.

    Raises ScannerAway before anything is changed, and WentAway where the scanner goes away on the way and is not back
    after `patience_seconds`: what was found stays.
    """
    await bench.scans.require()
    hunt = _Hunt(bench, by, {} if tries is None else tries, patience_seconds)
    line = bench.line
    total = await line.store_pool(how_many, line.store, scope)
    while True:
        holders, place = await line.store_pool(chunk, line.store, scope, after)
        if place is None:
            break
        for holder in holders:
            await hunt.examine(holder)
            hunt.tally.messages += 1
            on_progress(hunt.tally.messages, total)
        after = place
        await on_place(place, hunt.tally)
    if not scope.is_everything:
        await hunt.copies_elsewhere()
    return hunt.tally


class _Hunt:
    """One run: what is known of each digest so far."""

    def __init__(self, bench: Bench, by: str, tries: Tries, patience_seconds: float) -> None:
        self.tally = Tally()
        self._bench, self._by = bench, by
        self._tries, self._patience_seconds = tries, patience_seconds
        self._harmless: OrderedDict[str, None] = OrderedDict()
        self._infected: dict[str, tuple[Finding, ...]] = {}

    async def examine(self, holder: Holder) -> None:
        """Scan what of this message was not scanned in this run, and mark what is infected."""
        try:
            if holder.unscanned:
                await self._late(holder)
            else:
                await self._mark(holder, await self._infected_of(holder))
        except (BlobUnavailable, UnknownThing, UnreadableFacts) as error:
            self.tally.unreadable.append((holder, str(error)))

    async def copies_elsewhere(self) -> None:
        """What was found, in messages beyond what was to be walked."""
        if not self._infected:
            return
        line = self._bench.line
        for holder in await line.store_pool(_listed, self._bench, sorted(self._infected)):
            await self._mark(holder, {f: self._infected[f.sha256] for f in holder.files if f.sha256 in self._infected})

    async def _late(self, holder: Holder) -> None:
        async def scan() -> LateScan | None:
            return await scan_late(self._bench, holder.account_id, holder.id, by=self._by)

        late = await self._tried(holder, None, scan)
        if late is None:
            return  # somebody else was faster, or it is passed over
        self.tally.late += 1
        if late.marked:
            self.tally.found.append(Found(holder, None, ", ".join(late.names), late.marked))
        self.tally.unscannable += late.status is ScanStatus.UNSCANNABLE

    async def _infected_of(self, holder: Holder) -> dict[KeptFile, tuple[Finding, ...]]:
        """By file. The content is read where a digest is new, and one file of it is decoded at a time."""
        new = [f for f in holder.files if f.sha256 not in self._harmless and f.sha256 not in self._infected]
        if new:
            await self._scan(holder, new)
        return {f: self._infected[f.sha256] for f in holder.files if f.sha256 in self._infected}

    async def _scan(self, holder: Holder, files: list[KeptFile]) -> None:
        line = self._bench.line
        parts = await line.store_pool(_parts_of, self._bench, holder)
        content = await line.store_pool(content_of, line.store, line.blobs, holder.account_id, holder.id)
        if content is None:
            return  # erased since it was listed
        for file in files:
            if file.n in parts and file.sha256 not in self._infected:
                scan = partial(self._bench.scans.part, content, parts[file.n])
                self._learn(file.sha256, await self._tried(holder, file, scan))

    async def _tried(
        self, holder: Holder, file: KeptFile | None, scan: Callable[[], Awaitable[_Scan | None]]
    ) -> _Scan | None:
        """What a scan says, None where it is passed over. Raises WentAway."""
        key = file.sha256 if file else holder.id
        while (tried := self._tries.get(key, (0, "")))[0] < TRIES:
            try:
                said = await scan()
            except ScannerAway as away:
                times = self._failed(key, "the scanner went away while it had it")
                await self._wait_for_it(f"{away}. It had {called(holder, file)} before it, try {times} of {TRIES}")
                continue
            if said is None or said.status is not ScanStatus.UNSCANNED:
                self._tries.pop(key, None)
                return said
            self._failed(key, f"the scanner could not scan it ({said.reason})")
        self.tally.passed_over.append(PassedOver(holder, file, tried[1]))
        return None

    def _failed(self, key: str, why: str) -> int:
        times = self._tries.get(key, (0, ""))[0] + 1
        self._tries[key] = (times, why)
        return times

    async def _wait_for_it(self, text: str) -> None:
        """Raises WentAway, with `text`."""
        deadline = monotonic() + self._patience_seconds
        while monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            with contextlib.suppress(ScannerAway):
                await self._bench.scans.require()
                return
        raise WentAway(text, self.tally)

    def _learn(self, sha256: str, scan: FileScan | None) -> None:
        """None: it is passed over, and so are its copies."""
        self.tally.files += scan is not None
        if scan and scan.status is ScanStatus.INFECTED:
            self._infected[sha256] = scan.findings
            return
        self.tally.unscannable += scan is not None and scan.status is not ScanStatus.CLEAN
        self._harmless[sha256] = None
        if len(self._harmless) > VERDICTS_KEPT:
            self._harmless.popitem(last=False)

    async def _mark(self, holder: Holder, infected: dict[KeptFile, tuple[Finding, ...]]) -> None:
        fresh = {f: found for f, found in infected.items() if f.n not in holder.infected and 0 not in holder.infected}
        if not fresh:
            return
        findings = [replace(finding, where=str(file.n)) for file, found in fresh.items() for finding in found]
        line = self._bench.line
        marked = await line.store_pool(
            mark_infected, line.store, holder.account_id, holder.id, findings, now(), by=self._by
        )
        if marked:
            self.tally.found += [Found(holder, f, _names(found), marked) for f, found in fresh.items()]


def called(holder: Holder, file: KeptFile | None) -> str:
    what = f"file {file.n} ({file.name})" if file else "the whole"
    return f"{what} of message {holder.id} of {holder.account}"


def _names(findings: tuple[Finding, ...]) -> str:
    return ", ".join(dict.fromkeys(f.name for f in findings))


def _listed(bench: Bench, digests: list[str]) -> list[Holder]:
    return list(holders_of(bench.line.store, digests))


def _parts_of(bench: Bench, holder: Holder) -> dict[int, Part]:
    facts = facts_of(bench.line.store, holder.account_id, holder.id)
    return {p.n: p for p in facts.message.parts} if facts else {}
