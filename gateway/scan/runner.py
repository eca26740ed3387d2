"""Runs all scanners over a message and says what each of its files is: the `ScanReport`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from gateway import log
from gateway.core.envelope import Envelope
from gateway.core.message import ParsedMessage, Part
from gateway.core.ports import Mail, Scanner, ScannerResult
from gateway.core.reports import ARCHIVE, INSIDE, SCANNER_OFF, Finding, PartReport, ScanReport, ScanStatus
from gateway.offload import Offload
from gateway.parse import decode_part
from gateway.scan.files import Files
from gateway.scan.inside.entry import SECONDS

PARTS_SEARCHED = 50
"""How many parts are scanned one by one to find all infected ones; of a message with more it is `message` alone."""

TIMEOUT = "timeout"

_log = log.get("scan")


@dataclass(frozen=True, slots=True)
class Asked:
    """What scanners are being asked about a whole message; `since` is a `time.perf_counter()` value."""

    answers: asyncio.Task[list[tuple[Scanner, ScannerResult]]]
    since: float

    def cancel(self) -> None:
        """The answers are not wanted any more; nothing where they are here."""
        self.answers.cancel()


class ScanRunner:
    """`offload` runs in a thread what is decoded once more to find the infected file, `looking` what is looked into: threads
    of its own where live mail is scanned, for a bomb keeps one busy for up to 30 s.
    """

    def __init__(self, scanners: Sequence[Scanner], offload: Offload, looking: Offload | None = None) -> None:
        self._scanners = tuple(scanners)
        self._offload = offload
        self._looking = looking or offload

    def ask(self, content: bytes, envelope: Envelope | None = None) -> Asked:
        """Have all scanners begin with the whole raw message: they need nobody to have read it."""
        return Asked(asyncio.create_task(self._ask_all(content, _mail(envelope))), perf_counter())

    async def scan(self, content: bytes, message: ParsedMessage, files: Files, asked: Asked) -> ScanReport:
        """What all scanners say of the message, and what its files were seen to be. Never raises for mail."""
        parts = files.reports(message)
        looked: tuple[ScannerResult, ...] = ()
        if files.has_containers(parts):
            parts, looked = await self._look_inside(content, message, files, parts)
        results = await asked.answers
        if message.defects:
            results += await self._ask_of_parts(content, message, results)
        said = [result for _, result in results]
        # what could not be looked into comes first where both weigh the same: a scanner that is off asks for no second try
        status, reason = max([*_states(looked), _without_hope(combined(said), looked)], key=_gravity)
        findings = tuple(dict.fromkeys(f for result in (*said, *looked) for f in result.findings))
        if status is ScanStatus.INFECTED:
            guilty = [scanner for scanner, result in results if _says_infected_but_not_where(result)]
            findings += await self._where(content, message.parts, guilty)
        if _says_encrypted(results):
            parts = _at_least_one_encrypted(parts)
        facts = tuple(fact for _, result in results for fact in result.facts)
        return ScanReport(status, reason, findings, facts, parts)

    async def close(self) -> None:
        """Nothing is scanned any more; scanners give back what they hold."""
        for scanner in self._scanners:
            if close := getattr(scanner, "close", None):
                await close()

    async def _look_inside(
        self, content: bytes, message: ParsedMessage, files: Files, parts: tuple[PartReport, ...]
    ) -> tuple[tuple[PartReport, ...], tuple[ScannerResult, ...]]:
        """The reports with what lies in the files, and where not all of that could be seen, so much as a result."""
        deadline = time.monotonic() + SECONDS
        try:
            parts = await self._looking(files.looked_into, content, message, parts, deadline)
        except TimeoutError:
            return parts, (ScannerResult(ScanStatus.UNSCANNED, TIMEOUT),)
        unseen = tuple(Finding(INSIDE, part.unscannable, str(part.n)) for part in parts if part.unscannable)
        return parts, (ScannerResult(ScanStatus.UNSCANNABLE, ARCHIVE, unseen),) if unseen else ()

    async def _ask_all(self, content: bytes, mail: Mail) -> list[tuple[Scanner, ScannerResult]]:
        if len(self._scanners) == 1:  # a task for each would cost more than it gives
            return [(self._scanners[0], await ask(self._scanners[0], content, mail))]
        results = await asyncio.gather(*(ask(scanner, content, mail) for scanner in self._scanners))
        return list(zip(self._scanners, results, strict=True))

    async def _ask_of_parts(
        self, content: bytes, message: ParsedMessage, results: list[tuple[Scanner, ScannerResult]]
    ) -> list[tuple[Scanner, ScannerResult]]:
        """What scanners say of every part as we decode it: what is not written as usual they may take apart otherwise, and find
        no file, or another one. Those that had an answer to the whole are asked.
        """
        asked = [s for s, said in results if said.status in (ScanStatus.CLEAN, ScanStatus.UNSCANNABLE)]
        found: list[tuple[Scanner, ScannerResult]] = []
        for part in message.parts if asked else ():
            data = await self._offload(decode_part, content, part)
            for scanner in asked:
                result = await ask(scanner, data, Mail())
                here = tuple(replace(f, where=str(part.n)) for f in result.findings)
                found.append((scanner, replace(result, findings=here, facts=())))
        return found

    async def _where(self, content: bytes, parts: Sequence[Part], guilty: list[Scanner]) -> tuple[Finding, ...]:
        """The parts that are infected when scanned by themselves, text too; none when it is the message as a whole."""
        found: list[Finding] = []
        for part in parts if guilty and len(parts) <= PARTS_SEARCHED else ():
            data = await self._offload(decode_part, content, part)
            for scanner in guilty:
                result = await ask(scanner, data, Mail())
                if result.status is ScanStatus.INFECTED:
                    found += [replace(f, where=str(part.n)) for f in result.findings]
        return tuple(found)


def _mail(envelope: Envelope | None) -> Mail:
    if envelope is None:
        return Mail()
    return Mail(envelope.trace_id, envelope.client, envelope.reverse_path, envelope.recipients)


def _says_infected_but_not_where(result: ScannerResult) -> bool:
    return result.status is ScanStatus.INFECTED and all(f.where == "message" for f in result.findings)


async def ask(scanner: Scanner, content: bytes, mail: Mail) -> ScannerResult:
    """One scanner's result; one that raises has not scanned, or has no facts where it judges no viruses."""
    try:
        result = await scanner.scan(content, mail)
    except TimeoutError:
        _log.warning("scanner is too slow", scanner=scanner.name)
        return _silent(scanner, TIMEOUT)
    except OSError as error:
        _log.warning("scanner is down", scanner=scanner.name, error=str(error))
        return _silent(scanner, "down")
    except Exception:  # noqa: BLE001 - see below
        # The port's promise: raising means unscanned. A scanner's bug must neither pass mail as clean nor park it.
        _log.exception("scanner failed", scanner=scanner.name)
        return _silent(scanner, "protocol")
    if not _judges(scanner):
        return ScannerResult(None, facts=result.facts)
    return _silent(scanner, "protocol") if result.status is None else result


def _judges(scanner: Scanner) -> bool:
    return bool(getattr(scanner, "judges", True))


def _silent(scanner: Scanner, reason: str) -> ScannerResult:
    if _judges(scanner):
        return ScannerResult(ScanStatus.UNSCANNED, reason)
    return ScannerResult(None, facts=((f"{scanner.name}.state", reason),))


def combined(results: Sequence[ScannerResult]) -> tuple[ScanStatus, str]:
    """The gravest state of all scanners with its reason. One that is off says nothing where another judges; where none
    does, the message is unscanned (`scanner-off`).
    """
    said = [state for state in _states(results) if state[1] != SCANNER_OFF]
    return max(said, key=_gravity, default=(ScanStatus.UNSCANNED, SCANNER_OFF))


def _states(results: Sequence[ScannerResult]) -> list[tuple[ScanStatus, str]]:
    return [(r.status, r.reason) for r in results if r.status is not None]


def _without_hope(said: tuple[ScanStatus, str], looked: Sequence[ScannerResult]) -> tuple[ScanStatus, str]:
    """Who was too slow for a file that is too much for us as well will not be faster with the next try."""
    too_much = any(result.status is ScanStatus.UNSCANNABLE for result in looked)
    return (ScanStatus.UNSCANNABLE, TIMEOUT) if too_much and said == (ScanStatus.UNSCANNED, TIMEOUT) else said


def _gravity(said: tuple[ScanStatus, str]) -> int:
    """By the port: infected, unscannable, unscanned, clean. `encrypted` and `archive` weigh less than not scanned at all,
    because policies judge them by those files alone and would let the rest of a message pass that another scanner never saw.
    """
    if said[0] is ScanStatus.UNSCANNABLE and said[1] in ("encrypted", ARCHIVE):
        return 1
    order = (ScanStatus.CLEAN, None, ScanStatus.UNSCANNED, ScanStatus.UNSCANNABLE, ScanStatus.INFECTED)
    return order.index(said[0])


def _says_encrypted(results: list[tuple[Scanner, ScannerResult]]) -> bool:
    return any(result.reason == "encrypted" for _, result in results)


def _at_least_one_encrypted(parts: tuple[PartReport, ...]) -> tuple[PartReport, ...]:
    """A scanner saw encryption where we saw none (an archive in an archive, a 7z with a packed header): then every file
    that can hide something counts as encrypted, or all do when none looks so.
    """
    if any(part.encrypted for part in parts):
        return parts
    suspects = [part.n for part in parts if part.media_class == "other"] or [part.n for part in parts]
    return tuple(replace(part, encrypted=part.n in suspects) for part in parts)
