"""ClamAV's clamd over its socket: the whole raw message by INSTREAM, and what its reply means to us.

clamd says OK to what exceeds its limits unless AlertExceedsMax is set; where it does tell, that is `unscannable`, which
no retry cures. What a retry can cure (down, slow, talking nonsense) is `unscanned`.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import clamd

from gateway import log
from gateway.core.addresses import without_controls
from gateway.core.ports import Mail, Scanner, ScannerResult
from gateway.core.reports import Finding, ScanStatus
from gateway.scan.clamd_address import (
    Auto,
    ClamdAddress,
    Off,
    TcpAddress,
    UnixAddress,
    parse_address,
    usual_socket,
)
from gateway.scan.scanners import _instream
from gateway.settings import Settings

NAME = "clamav"
SCANS_AT_ONCE = 4
"""Of small content, and as many of large."""
LARGE_OCTETS = 1 << 20
"""From this size on a scan takes so long that small mail would wait for it: it has a turn of its own."""
PING_SECONDS = 5.0

_AS_MAIL = b"Received: from mail by gateway\r\n"
"""clamd tells mail by its first octets alone: a field called `GIF89a` or `MZ` would make a picture or a program of a message,
whose parts it then neither finds nor decodes.
"""
_LIMIT = re.compile(r"limit (exceeded|reached)|level exceeded|size exceeded", re.IGNORECASE)
_log = log.get("scan")


class ClamAv:
    """A `Scanner`. `timeout_seconds` covers waiting for its turn, connecting, sending and the answer."""

    name = NAME

    def __init__(
        self, address: ClamdAddress, timeout_seconds: float, seen_marker: Path, *, at_once: int = SCANS_AT_ONCE
    ) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._seen_marker = seen_marker
        self._seen = False
        self._turns = asyncio.Semaphore(at_once)
        self._large_turns = asyncio.Semaphore(at_once)

    async def scan(self, content: bytes, mail: Mail | None = None) -> ScannerResult:
        """What clamd says of `content`, whoever sent it. Never raises for what clamd does or fails to do."""
        before = _AS_MAIL if mail and mail.trace_id else b""
        where = self._where()
        if where is None:
            return ScannerResult(ScanStatus.UNSCANNED, "down" if self._was_seen() else "scanner-off")
        try:
            async with asyncio.timeout(self._timeout_seconds), self._turn(content):
                status, name = await _instream.instream(where, content, before)
        except clamd.BufferTooLongError:
            result = ScannerResult(ScanStatus.UNSCANNABLE, "over-limit")
        except clamd.ResponseError as error:
            _log.warning("clamd talks nonsense", address=str(where), error=str(error))
            return ScannerResult(ScanStatus.UNSCANNED, "protocol")
        except TimeoutError:
            return ScannerResult(ScanStatus.UNSCANNED, "timeout")
        except OSError as error:
            _log.warning("clamd is down", address=str(where), error=str(error))
            return ScannerResult(ScanStatus.UNSCANNED, "down")
        else:
            result = _meaning(status, without_controls(name))
        self._remember()
        return result

    def is_off(self) -> bool:
        """Switched off, or `auto` and never met here: nobody waits for it."""
        return self._where() is None and not self._was_seen()

    async def ping(self) -> bool:
        """Whether clamd answers now."""
        where = self._where()
        if where is None:
            return False
        try:
            async with asyncio.timeout(min(PING_SECONDS, self._timeout_seconds)):
                return await _instream.ping(where) == "PONG"
        except (OSError, clamd.ResponseError):
            return False

    async def version(self) -> str:
        """Its own with that of its signatures, empty where it does not answer."""
        where = self._where()
        if where is None:
            return ""
        try:
            async with asyncio.timeout(min(PING_SECONDS, self._timeout_seconds)):
                return without_controls(await _instream.version(where))
        except (OSError, clamd.ResponseError):
            return ""

    def _turn(self, content: bytes) -> asyncio.Semaphore:
        return self._large_turns if len(content) >= LARGE_OCTETS else self._turns

    def _where(self) -> UnixAddress | TcpAddress | None:
        if isinstance(self._address, Auto):
            return usual_socket()
        return None if isinstance(self._address, Off) else self._address

    def _was_seen(self) -> bool:
        """A clamd that once answered here is missed when it is gone; one that never did was never there."""
        if isinstance(self._address, Off):
            return False
        self._seen = self._seen or self._seen_marker.exists()
        return self._seen

    def _remember(self) -> None:
        if self._seen or not isinstance(self._address, Auto):
            return
        try:
            self._seen_marker.touch()
        except OSError as error:  # a full disk must not undo a scan that went well
            _log.warning("cannot remember that clamd was seen", path=str(self._seen_marker), error=str(error))
            return
        self._seen = True


def make(address: str, timeout_seconds: float, seen_marker: Path) -> ClamAv:
    """The scanner for the settings `clamav.address` and `clamav.timeout_seconds`.

    `seen_marker` is a file in the data directory; it comes to be when a clamd found by `auto` first answers, and from
    then on its absence means "down" instead of "there is none". Raises InvalidInput for an address of no known form.
    """
    return ClamAv(parse_address(address), timeout_seconds, seen_marker)


class _Found:
    name = NAME

    def make(self, settings: Settings) -> Scanner:
        return make(settings.clamav.address, settings.clamav.timeout_seconds, settings.data_dir / "clamd.seen")


SCANNER: Any = _Found()


def _meaning(status: str, name: str) -> ScannerResult:
    if status == "OK":
        return ScannerResult(ScanStatus.CLEAN)
    findings = (Finding(NAME, name),)
    if name.startswith("Heuristics.Limits.Exceeded") or (status == "ERROR" and _LIMIT.search(name)):
        return ScannerResult(ScanStatus.UNSCANNABLE, "over-limit", findings)
    if status == "ERROR":
        # Not the message's fault as far as anybody can tell (no room for its temporary files, no memory): try again.
        return ScannerResult(ScanStatus.UNSCANNED, "error", findings)
    if name.startswith("Heuristics.Encrypted"):
        return ScannerResult(ScanStatus.UNSCANNABLE, "encrypted", findings)
    return ScannerResult(ScanStatus.INFECTED, "", findings)
