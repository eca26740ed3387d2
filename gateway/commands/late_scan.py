"""Messages that no scanner has seen because it was away: scanned as soon as one is back, then judged as they would have been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.commands.line import OpenLine
from gateway.core.clock import now
from gateway.core.decision import Decision, PartDecision
from gateway.core.outcome import Reason
from gateway.core.reports import ScanStatus
from gateway.journey import Again
from gateway.policy.engine import Policy, decide
from gateway.scan.again import ScansAgain
from gateway.store.filing import Kept
from gateway.store.late_scans import Judgement, Marked, judgement_of, mark_infected, note_scan, settle_scan
from gateway.store.stored_message import stored_message


@dataclass(frozen=True, slots=True)
class Bench:
    """What scans stored messages: a line, scanners of its own, and the policies that once decided."""

    line: OpenLine
    scans: ScansAgain
    policy_of: Callable[[str, int], Policy]


@dataclass(frozen=True, slots=True)
class LateScan:
    """`status` is what the scan said; unscanned where it could not tell even now. `names` of what it found, `marked` what
    followed from that.
    """

    status: ScanStatus
    reason: str = ""
    names: tuple[str, ...] = ()
    marked: Marked | None = None


async def scan_late(bench: Bench, account_id: str, message_id: str, *, by: str) -> LateScan | None:
    """Scan a message that was not when it came. None where somebody else was faster.

    Clean: its files are judged by the policy that decided it then; what was quarantined for want of a scanner goes the
    line again. Infected: as `mark_infected`. Raises ScannerAway, UnknownThing, UnreadableFacts, Surroundings.
    """
    line = bench.line
    stored = await line.store_pool(stored_message, line.store, line.blobs, account_id, message_id)
    facts = stored.facts
    if facts is None or facts.scan.status is not ScanStatus.UNSCANNED:
        return None
    scan = await bench.scans.message(stored.envelope, facts.message)
    if scan.status is ScanStatus.UNSCANNED:
        return LateScan(scan.status, scan.reason)
    if scan.status is ScanStatus.INFECTED:
        marked = await line.store_pool(mark_infected, line.store, account_id, message_id, scan.findings, now(), by=by)
        return (
            LateScan(scan.status, "", tuple(dict.fromkeys(f.name for f in scan.findings)), marked) if marked else None
        )
    found = LateScan(scan.status, scan.reason)
    scanned = replace(facts, scan=scan)
    judged = await line.store_pool(judgement_of, line.store, account_id, message_id)
    if stored.disposition == Kept.QUARANTINED.value and judged.reason == Reason.SCANNER_DOWN.value:
        await line.store_pool(note_scan, line.store, account_id, stored.envelope.trace_id, scan, now())
        await line.intake.again(stored.envelope, message_id, Again(scanned))
        return found
    policy = await line.store_pool(bench.policy_of, account_id, judged.policy_version)
    parts = _judged_anew(judged, decide(facts, policy), decide(scanned, policy))
    if await line.store_pool(settle_scan, line.store, account_id, message_id, facts, scan, parts, now()):
        return found
    return None


def _judged_anew(judged: Judgement, then: Decision, today: Decision) -> list[PartDecision]:
    """Only what is as the policy left it then: what a person has released since stays released."""
    stored = {(p["n"], p["disposition"], p["reason"]) for p in judged.parts}
    untouched = {p.n for p in then.parts if (p.n, p.disposition.value, p.reason) in stored}
    changed = set(today.parts) - set(then.parts)
    return [p for p in today.parts if p in changed and p.n in untouched]
