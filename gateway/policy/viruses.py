"""The `virus` table: what follows from the state of the scan."""

from __future__ import annotations

from datetime import timedelta

from gateway.core.addresses import without_controls
from gateway.core.decision import Disposition, Facts
from gateway.core.infected import lies_in_files
from gateway.core.outcome import Reason
from gateway.core.reports import ARCHIVE, SCANNER_OFF, ScanStatus
from gateway.policy.action import Verdict
from gateway.policy.document import Virus

_ENCRYPTED = "encrypted"


def wanted_by_scan(facts: Facts, virus: Virus) -> str:
    """What the table says, `accept` when it has nothing to say.

    With the scanner switched off it is not asked; encryption is judged by `attachments.encrypted` alone. Where there is no
    file to be held, the message waits as a whole.
    """
    scan = facts.scan
    if scan.status is ScanStatus.INFECTED:
        return "quarantine" if virus.infected == "strip" and not lies_in_files(facts) else virus.infected
    if scan.status is ScanStatus.UNSCANNABLE and not scan.parts and virus.unscannable == "hold":
        return "quarantine"
    if scan.status is ScanStatus.UNSCANNABLE and scan.reason != _ENCRYPTED:
        return virus.unscannable
    if scan.status is ScanStatus.UNSCANNED and scan.reason != SCANNER_OFF:
        return _after_deferring(facts, virus)
    return "accept"


def verdict_of_scan(facts: Facts, wanted: str) -> Verdict | None:
    """The table's answer as far as it concerns the whole message."""
    if wanted not in ("defer", "quarantine", "reject"):
        return None
    return Verdict(Disposition(wanted), _REASONS[facts.scan.status], _text(facts))


def unproven_files(facts: Facts, wanted: str) -> tuple[str, str] | None:
    """The table's answer as far as it concerns the files: a disposition, and why."""
    by_themselves = facts.scan.status is ScanStatus.UNSCANNABLE and facts.scan.reason == ARCHIVE
    return None if by_themselves or wanted in ("accept", "defer") else (wanted, _text(facts))


def _after_deferring(facts: Facts, virus: Virus) -> str:
    if virus.scanner_down != "defer":
        return virus.scanner_down
    waited = facts.now - (facts.context.first_tried_at or facts.now)
    return "defer" if waited < timedelta(seconds=virus.defer_at_most) else "hold"


def _text(facts: Facts) -> str:
    scan = facts.scan
    if scan.status is ScanStatus.INFECTED:
        names = ", ".join(dict.fromkeys(f.name for f in scan.findings)) or "no name given"
        return _ascii(f"a virus was found: {names}")
    if scan.status is ScanStatus.UNSCANNABLE:
        return _ascii(f"the message cannot be scanned ({scan.reason})")
    return _ascii(f"not scanned yet ({scan.reason})")


def _ascii(text: str) -> str:
    return without_controls(text).encode("ascii", "replace").decode()[:200]


_REASONS = {
    ScanStatus.INFECTED: Reason.VIRUS,
    ScanStatus.UNSCANNABLE: Reason.UNSCANNABLE,
    ScanStatus.UNSCANNED: Reason.SCANNER_DOWN,
}
