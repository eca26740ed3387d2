"""Stored content before the scanners once more: a file by itself, or a message that was not scanned when it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.core.envelope import Envelope
from gateway.core.errors import GatewayError
from gateway.core.message import ParsedMessage, Part
from gateway.core.ports import Mail, Scanner
from gateway.core.reports import Finding, ScanReport, ScanStatus
from gateway.offload import Offload
from gateway.parse import decode_part
from gateway.scan.configured import configured
from gateway.scan.files import Files
from gateway.scan.runner import ScanRunner, ask, combined
from gateway.settings import Settings

_OPEN = (ScanStatus.UNSCANNED, ScanStatus.UNSCANNABLE)
"""Where a scanner may not have had its say: `unscannable` of one weighs more than that another was away."""


class ScannerAway(GatewayError):
    """A scanner that is set up does not answer; the text says which, or that there is none."""


@runtime_checkable
class _Answers(Protocol):
    async def ping(self) -> bool: ...


@runtime_checkable
class _MayBeOff(Protocol):
    def is_off(self) -> bool:
        """Nobody set it up: it says nothing, and nothing waits for it."""
        ...


@runtime_checkable
class _HasVersion(Protocol):
    name: str

    async def version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FileScan:
    """What the scanners say of one file; `findings` name what is in it."""

    status: ScanStatus
    reason: str = ""
    findings: tuple[Finding, ...] = ()


class ScansAgain:
    """Scanners of its own, with turns of their own: live mail never waits in our process for what is old."""

    def __init__(self, scanners: Sequence[Scanner], offload: Offload) -> None:
        self._made = tuple(scanners)
        self._scanners = tuple(s for s in scanners if getattr(s, "judges", True))
        self._offload = offload
        self._runner = ScanRunner(self._scanners, offload)

    @classmethod
    def of(cls, settings: Settings, offload: Offload) -> ScansAgain:
        """In a running event loop. Raises InvalidInput."""
        return cls(configured(settings), offload)

    async def version(self) -> str:
        """Of all signatures together: another text means that they were updated. Empty where none tells, and where one is
        away: without it the others would be taken for new ones, once when it goes and once when it is back.
        """
        told = [(s.name, await s.version()) for s in self._set_up() if isinstance(s, _HasVersion)]
        return "; ".join(f"{name} {version}" for name, version in told) if all(version for _, version in told) else ""

    async def require(self) -> None:
        """Raises ScannerAway unless all that are set up answer now: what one of them says of stored mail must not stand for
        what another would have said.
        """
        scanners = self._set_up()
        if not scanners:
            raise ScannerAway("no virus scanner is configured: set clamav.address")
        # one that cannot be asked beforehand is asked by scanning
        if away := [s.name for s in scanners if isinstance(s, _Answers) and not await s.ping()]:
            verb = "does" if len(away) == 1 else "do"
            raise ScannerAway(f"{' and '.join(away)} {verb} not answer; `gateway doctor` says why")

    def _set_up(self) -> list[Scanner]:
        return [s for s in self._scanners if not (isinstance(s, _MayBeOff) and s.is_off())]

    async def file(self, octets: bytes) -> FileScan:
        """Raises ScannerAway when a scanner is down; one that answers and could not scan this says `unscanned`."""
        results = [await ask(scanner, octets, Mail()) for scanner in self._scanners]
        status, reason = combined(results)
        if status in _OPEN:
            await self.require()
        guilty = (r for r in results if r.status is ScanStatus.INFECTED)
        return FileScan(status, reason, tuple(f for r in guilty for f in r.findings))

    async def part(self, content: bytes, part: Part) -> FileScan:
        """One file of a raw message, as `file`."""
        return await self.file(await self._offload(decode_part, content, part))

    async def message(self, envelope: Envelope, message: ParsedMessage) -> ScanReport:
        """The whole message, as the line scans one. Raises ScannerAway."""
        files = await self._offload(_seen, envelope.content, message)
        report = await self._runner.scan(envelope.content, message, files, self._runner.ask(envelope.content, envelope))
        if report.status in _OPEN:
            await self.require()
        return report

    async def close(self) -> None:
        """Scanners give back what they hold."""
        await ScanRunner(self._made, self._offload).close()


def _seen(content: bytes, message: ParsedMessage) -> Files:
    files = Files()
    for part in message.parts:
        if part.is_attachment:
            files.see(part.n, decode_part(content, part))
    return files
