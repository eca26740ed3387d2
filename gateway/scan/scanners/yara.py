"""YARA rules of the operator's, by yara-x, over the message as it came and over every attachment decoded.

They need no daemon, and where no clamd is, what they say is all that is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.core.ports import Mail, Scanner, ScannerResult
from gateway.core.reports import Finding, ScanStatus
from gateway.scan.yara_rules import fingerprint
from gateway.settings import Settings

NAME = "yara"
START_SECONDS = 120.0
"""For compiling thousands of rules. Mail that comes before does not wait so long: it is unscanned by its own timeout."""
GRACE_SECONDS = 2.0
"""On top of its own timeout, for the way there and back, before the process is taken for stuck."""
CHUNK_BYTES = 1 << 20
LINE_BYTES = 1 << 20


class YaraDown(OSError):
    """Its process does not start or has ended."""


class Yara:
    """A `Scanner` with a process of its own, begun with the first message, and anew when it has ended. One message at a
    time; `timeout_seconds` covers waiting for the turn.
    """

    name = NAME

    def __init__(self, places: Sequence[Path], timeout_seconds: int) -> None:
        command = [sys.executable, "-P", "-m", "gateway.scan.yara_process", str(timeout_seconds), *map(str, places)]
        self._command = command
        self._places = tuple(places)
        self._timeout_seconds = timeout_seconds
        self._turn = asyncio.Lock()
        self._starting: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def scan(self, content: bytes, mail: Mail | None = None) -> ScannerResult:
        """A match is an infection, named by its rule. Raises TimeoutError and OSError."""
        del mail  # rules speak of content
        async with asyncio.timeout(self._timeout_seconds + GRACE_SECONDS), self._turn:
            # a message that gives up does not end the start, which is the next one's too
            process = await asyncio.shield(self._process())
            try:
                said = await _asked(process, content)
            except BaseException:
                self._end(process)  # it would answer the next one with what it has to say of this
                raise
        return _meaning(said)

    async def ping(self) -> bool:
        """Whether its process is there, begun anew where it has ended: one that a message killed answers for the others."""
        try:
            await asyncio.shield(self._process())
        except (OSError, ValueError):
            return False
        return True

    async def version(self) -> str:
        """Another text where its rules are others."""
        return await asyncio.to_thread(fingerprint, self._places)

    async def close(self) -> None:
        if self._starting:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, ValueError):
                self._end(await self._starting)
        await asyncio.gather(*self._ending)

    def _process(self) -> asyncio.Task[asyncio.subprocess.Process]:
        """The one there is, or the start of a new one where that failed or has ended."""
        running = self._starting
        if running and running.done():
            ended = running.cancelled() or running.exception() or running.result().returncode is not None
            running = None if ended else running
        self._starting = running or asyncio.get_running_loop().create_task(_started(self._command))
        return self._starting

    def _end(self, process: asyncio.subprocess.Process) -> None:
        self._starting = None
        ending = asyncio.get_running_loop().create_task(_ended(process))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Ended by force: it holds nothing that has to be put in order."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _started(command: list[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=LINE_BYTES)
    try:
        async with asyncio.timeout(START_SECONDS):
            await _ready(process)
    except BaseException:
        await _ended(process)
        raise
    return process


async def _ready(process: asyncio.subprocess.Process) -> None:
    said = await _line(process)
    if "ready" not in said:
        raise YaraDown(str(said.get("unusable", said)))


async def _asked(process: asyncio.subprocess.Process, content: bytes) -> dict[str, Any]:
    stream = process.stdin
    if stream is None:
        raise YaraDown("its process has no input")
    stream.write(len(content).to_bytes(8, "big"))
    view = memoryview(content)
    for at in range(0, len(content), CHUNK_BYTES):
        stream.write(view[at : at + CHUNK_BYTES])
        await stream.drain()
    return await _line(process)


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    if process.stdout is None:
        raise YaraDown("its process has no output")
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise YaraDown(f"its process has ended ({process.returncode})")
    said = json.loads(line)
    return said if isinstance(said, dict) else {}


def _meaning(said: dict[str, Any]) -> ScannerResult:
    if "unscannable" in said:
        return ScannerResult(ScanStatus.UNSCANNABLE, str(said["unscannable"]))
    if "found" not in said:
        return ScannerResult(ScanStatus.UNSCANNED, str(said.get("failed", "protocol")))
    findings = tuple(Finding(NAME, rule, where) for where, rule in said["found"])
    return ScannerResult(ScanStatus.INFECTED if findings else ScanStatus.CLEAN, "", findings)


class _Found:
    name = NAME

    def make(self, settings: Settings) -> Scanner | None:
        return Yara(settings.yara.rules, settings.yara.timeout_seconds) if settings.yara.rules else None


SCANNER: Any = _Found()
