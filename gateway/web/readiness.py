"""`/readyz`: would mail be taken just now? Asked of what a client would meet, not of what we believe of ourselves."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping

from gateway.commands.own_listener import connect_to_own

Check = Callable[[], Awaitable[str]]
"""Empty when well, else what is wrong in a few words."""

GREETING_SECONDS = 2.0
CHECK_SECONDS = 5.0
_FRESH_SECONDS = 1.0


class Readiness:
    """Runs all checks at once. Askers at the same time, and within a second, share one run: anybody may ask."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)
        self._run: asyncio.Task[dict[str, str]] | None = None
        self._ended_at = float("-inf")

    async def __call__(self) -> dict[str, str]:
        """What each check found: `ok`, or what is wrong."""
        if self._run is None or (self._run.done() and time.monotonic() - self._ended_at > _FRESH_SECONDS):
            self._run = asyncio.get_running_loop().create_task(self._all())
        # the run is everybody's: an asker that leaves does not end it
        return await asyncio.shield(self._run)

    async def _all(self) -> dict[str, str]:
        found = await asyncio.gather(*(self._one(check) for check in self._checks.values()))
        self._ended_at = time.monotonic()
        return dict(zip(self._checks, found, strict=True))

    async def _one(self, check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await check() or "ok"
        except TimeoutError:
            return f"no answer within {CHECK_SECONDS:.0f} s"


def greeting_of(address: str, proxy_protocol_from: tuple[str, ...] = ()) -> Check:
    """The check of one SMTP or LMTP listener, named as in the settings: it greets with 220 (RFC 5321 section 3.1).

    `proxy_protocol_from`: the networks it expects a PROXY header from; we may be in one.
    """

    async def check() -> str:
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                return await _greeting(address, proxy_protocol_from)
        except TimeoutError:
            return f"no greeting within {GREETING_SECONDS:.0f} s"
        except (OSError, ValueError) as error:  # ValueError: a line that does not end
            # asyncio puts words of its own in the place of the system's
            number = getattr(error, "errno", None) or 0
            return os.strerror(number) if number > 0 else str(error)

    return check


async def _greeting(address: str, proxy_protocol_from: tuple[str, ...]) -> str:
    reader, writer = await connect_to_own(address, proxy_protocol_from)
    try:
        line = await reader.readline()
        if not line.startswith(b"220"):
            said = line[:80].decode("ascii", "replace").strip()
            return f"greets with {said!r}, not 220" if said else "closes without a greeting"
        writer.write(b"QUIT\r\n")
        await reader.readline()
    finally:
        writer.close()
    return ""
