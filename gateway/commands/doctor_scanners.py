"""What scans mail: clamd, YARA rules, rspamd. Each is tried on what it must find."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator

from gateway.commands.findings import Finding, failed, warned, well
from gateway.core.errors import InvalidInput
from gateway.core.ports import Mail, ScannerResult
from gateway.core.reports import ScanStatus
from gateway.policy.spam import SPAM_ACTIONS
from gateway.scan.clamd_address import describe
from gateway.scan.scanners import clamav, rspamd
from gateway.scan.yara_rules import compiled
from gateway.settings import Settings

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS" + b"-TEST-FILE!$H+H*"
"""The industry's harmless test virus (eicar.org); in pieces, so that no scanner takes this file away."""
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""The same for spam filters (spamassassin.apache.org/gtube)."""
DEEPER_THAN_ANY_LIMIT = 120
"""clamd's MaxRecursion is 17 unless set, 100 at most."""
SCAN_SIZES = 4
"""clamd counts a message, what is decoded of it and what is unpacked of that: MaxScanSize is so many times MaxFileSize here."""

_MEBI = 1 << 20


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """A line or more for each scanner; YARA and rspamd only where the settings name them."""
    async for finding in clamd(settings):
        yield finding
    if settings.yara.rules:
        yield await asyncio.to_thread(yara, settings)
    if settings.rspamd.url:
        yield await spam_filter(settings)


# --- clamd ---


async def clamd(settings: Settings) -> AsyncIterator[Finding]:
    """Finds the test virus, takes messages as large as we do, looks at them to the end, and tells when a file exceeds its
    limits.
    """
    marker, size_bytes = settings.data_dir / "clamd.seen", settings.smtp.max_message_bytes
    says = describe(settings.clamav.address, marker, beside="YARA rules" if settings.yara.rules else "")
    scans = clamav.make(settings.clamav.address, settings.clamav.timeout_seconds, marker)
    found = await scans.scan(EICAR)
    yield _of_test_virus(found, says)
    if found.status is not ScanStatus.INFECTED:
        return
    stream = await scans.scan(bytes(size_bytes))
    yield _of_size(stream, size_bytes)
    if _is_taken(stream):
        yield _of_reach(await scans.scan(await asyncio.to_thread(_last_in_archive, EICAR, size_bytes)), size_bytes)
    yield _of_limits(await scans.scan(await asyncio.to_thread(_nested, EICAR)))


def _of_test_virus(found: ScannerResult, says: str) -> Finding:
    if found.status is ScanStatus.INFECTED:
        return well("clamd", f"finds the test virus ({', '.join(f.name for f in found.findings)}). {says}")
    if found.reason == "scanner-off":
        return warned("clamd", f"{says} Install clamav-daemon, or set clamav.address")
    if found.status is ScanStatus.CLEAN:
        return failed("clamd", "answers, but calls the test virus clean; run freshclam, and look at clamd's log")
    cure = "start clamd, or correct clamav.address; policies say what becomes of mail until then"
    return failed("clamd", f"{found.reason or found.status}. {says} {cure}")


def _is_taken(found: ScannerResult) -> bool:
    """The whole stream: over StreamMaxLength clamd names nothing, over its other limits it does where AlertExceedsMax is set."""
    return found.status is ScanStatus.CLEAN or (found.status is ScanStatus.UNSCANNABLE and bool(found.findings))


def _of_size(found: ScannerResult, size_bytes: int) -> Finding:
    if _is_taken(found):
        return well("clamd size", f"takes messages of smtp.max_message_bytes ({size_bytes})")
    if found.status is ScanStatus.UNSCANNABLE:
        least = f"StreamMaxLength {size_bytes // _MEBI + 1}M"
        return warned("clamd size", f"takes less than smtp.max_message_bytes ({size_bytes}); set {least} in clamd.conf")
    return warned("clamd size", f"a message of smtp.max_message_bytes ({size_bytes}) is not scanned: {found.reason}")


def _of_reach(found: ScannerResult, size_bytes: int) -> Finding:
    """MaxFileSize and MaxScanSize: what lies behind them clamd does not see (T43)."""
    if found.status is ScanStatus.INFECTED:
        return well("clamd reach", "finds a virus at the end of the largest archive that a message may be")
    if found.status is ScanStatus.UNSCANNED:
        return warned("clamd reach", f"not known: {found.reason}")
    says = "calls clean" if found.status is ScanStatus.CLEAN else "does not look to the end of"
    file_size = size_bytes // _MEBI + 1
    return warned(
        "clamd reach",
        f"{says} an archive of {size_bytes} octets (smtp.max_message_bytes) with the test virus at its end; set "
        f"MaxFileSize {file_size}M and MaxScanSize {SCAN_SIZES * file_size}M in clamd.conf",
    )


def _of_limits(found: ScannerResult) -> Finding:
    """What clamd did not look at to the end it calls clean, unless told otherwise (T43)."""
    if found.status is ScanStatus.CLEAN:
        cure = "set AlertExceedsMax yes in clamd.conf"
        return warned("clamd limits", f"calls clean what exceeds its limits (a deeply nested archive); {cure}")
    if found.status is ScanStatus.UNSCANNED:
        return warned("clamd limits", f"not known: {found.reason}")
    return well("clamd limits", "tells when a file exceeds its limits")


def _last_in_archive(content: bytes, size_bytes: int) -> bytes:
    """An archive of about `size_bytes`, nothing in it compressed, with `content` as its last file."""
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("first.bin", bytes(max(0, size_bytes - 1024)))
        archive.writestr("last.bin", content)
    return outer.getvalue()


def _nested(content: bytes) -> bytes:
    for _ in range(DEEPER_THAN_ANY_LIMIT):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.zip", content)
        content = outer.getvalue()
    return content


# --- YARA ---


def yara(settings: Settings) -> Finding:
    """Whether its rules can be used; a start would say the same."""
    try:
        return well("yara", f"{compiled(settings.yara.rules).told}; matches count as infections")
    except InvalidInput as error:
        return failed("yara", str(error))


# --- rspamd ---


async def spam_filter(settings: Settings) -> Finding:
    """Answers, tells its version, and calls the test spam spam."""
    where, scanner = settings.rspamd.url, rspamd.SCANNER.make(settings)
    without = "mail goes on without its opinion until then"
    try:
        version = await scanner.version()
        found = await scanner.scan(b"From: <doctor@doctor.invalid>\r\nSubject: test\r\n\r\n" + GTUBE + b"\r\n", Mail())
    except TimeoutError:
        return failed("rspamd", f"says nothing within rspamd.timeout_seconds at {where}; look at its log; {without}")
    except OSError as error:
        return failed("rspamd", f"{where}: {error}; start rspamd, or correct rspamd.url; {without}")
    except ValueError as error:
        return failed("rspamd", f"{where}: {error}; name its normal worker (port 11333) in rspamd.url; {without}")
    finally:
        await scanner.close()
    facts = dict(found.facts)
    action = facts.get("rspamd.action")
    if action is None:
        cure = "look at its log, and at rspamd.password"
        return failed(
            "rspamd", f"{version} at {where} gives no verdict ({facts.get('rspamd.state')}); {cure}; {without}"
        )
    if action not in SPAM_ACTIONS:
        return failed(
            "rspamd", f'{version} at {where} calls the test spam "{action}"; look at its actions and settings'
        )
    told = f"{action}, {facts['rspamd.score']:g} of {facts['rspamd.required']:g}"
    return well("rspamd", f"{version} at {where} calls the test spam spam ({told})")
