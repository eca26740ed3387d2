"""What works beside us: clamd, relays, our own listeners."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator

from gateway.commands.findings import Finding, failed, warned, well
from gateway.commands.own_listener import connect_to_own
from gateway.core.errors import InvalidInput
from gateway.core.ports import ScannerResult
from gateway.core.reports import ScanStatus
from gateway.notify.courier import parse_relay
from gateway.scan.clamd_address import describe
from gateway.scan.scanners import clamav
from gateway.settings import Settings

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS" + b"-TEST-FILE!$H+H*"
"""The industry's harmless test virus (eicar.org); in pieces, so that no scanner takes this file away."""
DEEPER_THAN_ANY_LIMIT = 120
"""clamd's MaxRecursion is 17 unless set, 100 at most."""
RELAY_SECONDS = 15.0
GREETING_SECONDS = 5.0


# --- clamd ---


async def scanner(settings: Settings) -> AsyncIterator[Finding]:
    """Finds the test virus, takes messages as large as we do, and tells when a file exceeds its limits."""
    marker = settings.data_dir / "clamd.seen"
    says = describe(settings.clamav.address, marker)
    scans = clamav.make(settings.clamav.address, settings.clamav.timeout_seconds, marker)
    found = await scans.scan(EICAR)
    yield _of_test_virus(found, says)
    if found.status is ScanStatus.INFECTED:
        yield _of_size(await scans.scan(bytes(settings.smtp.max_message_bytes)), settings.smtp.max_message_bytes)
        yield _of_limits(await scans.scan(_nested(EICAR)))


def _of_test_virus(found: ScannerResult, says: str) -> Finding:
    if found.status is ScanStatus.INFECTED:
        return well("clamd", f"finds the test virus ({', '.join(f.name for f in found.findings)}). {says}")
    if found.reason == "scanner-off":
        return warned("clamd", f"{says} Install clamav-daemon, or set clamav.address")
    if found.status is ScanStatus.CLEAN:
        return failed("clamd", "answers, but calls the test virus clean; run freshclam, and look at clamd's log")
    cure = "start clamd, or correct clamav.address; policies say what becomes of mail until then"
    return failed("clamd", f"{found.reason or found.status}. {says} {cure}")


def _of_size(found: ScannerResult, size_bytes: int) -> Finding:
    if found.status is ScanStatus.UNSCANNABLE:
        least = f"StreamMaxLength {size_bytes // (1 << 20) + 1}M"
        return warned("clamd size", f"takes less than smtp.max_message_bytes ({size_bytes}); set {least} in clamd.conf")
    if found.status is ScanStatus.UNSCANNED:
        return warned(
            "clamd size", f"a message of smtp.max_message_bytes ({size_bytes}) is not scanned: {found.reason}"
        )
    return well("clamd size", f"takes messages of smtp.max_message_bytes ({size_bytes})")


def _of_limits(found: ScannerResult) -> Finding:
    """What clamd did not look at to the end it calls clean, unless told otherwise (T43)."""
    if found.status is ScanStatus.CLEAN:
        cure = "set AlertExceedsMax yes in clamd.conf"
        return warned("clamd limits", f"calls clean what exceeds its limits (a deeply nested archive); {cure}")
    if found.status is ScanStatus.UNSCANNED:
        return warned("clamd limits", f"not known: {found.reason}")
    return well("clamd limits", "tells when a file exceeds its limits")


def _nested(content: bytes) -> bytes:
    for _ in range(DEEPER_THAN_ANY_LIMIT):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.zip", content)
        content = outer.getvalue()
    return content


# --- relays ---


async def relays(settings: Settings) -> list[Finding]:
    """Connects and greets as for a delivery, TLS and login included, and leaves without a mail."""
    if not settings.relay.url:
        return [warned("relay", "none is set, so notifications wait in the outbox; set relay.url")]
    return [await _relay(url, settings.hostname) for url in settings.relay.url]


async def _relay(url: str, hostname: str) -> Finding:
    try:
        relay = parse_relay(url, hostname=hostname)
    except InvalidInput as error:
        return failed("relay", str(error))
    wrong = await relay.probe(timeout_seconds=RELAY_SECONDS)
    if wrong:
        return failed("relay", f"{relay.name}: {wrong}; notifications wait in the outbox until this is mended")
    return well("relay", f"{relay.name} is ready for our mail")


# --- listeners ---


async def listeners(settings: Settings) -> list[Finding]:
    """Each is asked as a client would. One that nobody answers is no fault: `serve` may not run just now."""
    proxies = settings.smtp.proxy_protocol_from
    smtp = [_listener(f"smtp {a}", a, b"", b"220", proxies) for a in settings.smtp.listen]
    request = b"GET /healthz HTTP/1.0\r\nHost: doctor\r\n\r\n"
    return await asyncio.gather(
        *smtp, _listener(f"http {settings.http.listen}", settings.http.listen, request, b"HTTP/")
    )


async def _listener(check: str, address: str, ask: bytes, wanted: bytes, proxies: tuple[str, ...] = ()) -> Finding:
    if address.endswith(":0"):
        return warned(check, "its port is chosen at each start, so it cannot be asked; name one")
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            line = await _first_line(address, ask, proxies)
    except TimeoutError:
        return failed(check, f"connects, but says nothing within {GREETING_SECONDS:.0f} s; look at the log of `serve`")
    except OSError as error:
        return warned(check, f"not serving ({error.strerror or error}); start `gateway serve`")
    said = line.decode("ascii", "replace").strip()
    if not line.startswith(wanted):
        return failed(check, f"another program answers there ({said[:80]!r}); end it, or listen elsewhere")
    if line.startswith(b"HTTP/") and b" 200 " not in line:
        return failed(check, f"/healthz says {said[:80]}; look at the log of `serve`")
    return well(check, f"answers: {said[:80]}")


async def _first_line(address: str, ask: bytes, proxies: tuple[str, ...]) -> bytes:
    reader, writer = await connect_to_own(address, proxies)
    try:
        writer.write(ask)
        line = await reader.readline()
        if not ask:
            writer.write(b"QUIT\r\n")
            await reader.readline()
    finally:
        writer.close()
    return line
