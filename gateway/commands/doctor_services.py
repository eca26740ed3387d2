"""What works beside us: relays, our own listeners."""

from __future__ import annotations

import asyncio

from gateway.commands.findings import Finding, failed, warned, well
from gateway.commands.own_listener import connect_to_own
from gateway.core.errors import InvalidInput
from gateway.notify.courier import parse_relay
from gateway.settings import Settings

RELAY_SECONDS = 15.0
GREETING_SECONDS = 5.0


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
