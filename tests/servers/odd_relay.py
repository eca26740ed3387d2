"""A relay that takes mail, and misbehaves as it is told while it runs. Within the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.servers.ports import free_port

HANG = b""
"""As an answer: none, for ever."""


@dataclass
class OddRelay:
    """`answers` by verb (`connect`, `ehlo`, `mail`, `rcpt`, `data`, `dot`, `rset`): what is said instead, each time.

    `once` the same, for the next time only; an answer of 421 ends the connection. `last` messages a connection, then it is
    closed without a word. `taken` are the recipients of what was answered 250; `connections` counts them all.
    """

    answers: dict[str, bytes] = field(default_factory=dict)
    once: dict[str, bytes] = field(default_factory=dict)
    hangs_for: str = "none"
    """A recipients' domain for which RCPT gets no answer."""
    pipelining: bool = True
    last: int = 10**9
    most: int = 10**9
    """Connections at once; those beyond are told 421."""
    taken: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """Each command's verb, in order, of all connections."""
    groups: list[int] = field(default_factory=list)
    """How many commands came in one piece."""
    connections: int = 0
    port: int = field(default_factory=free_port)
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Connections are refused from now on, and those that are open end."""
        if self._server:
            self._server.close()
            self._server = None
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._talk(reader, writer)
        writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = b"220 odd.test ESMTP" if len(self._open) <= self.most else b"421 4.7.0 too many connections"
        if _ends(await self._say(writer, "connect", greeting)):
            return
        sent, recipient = 0, ""
        async for verb, line in self._commands(reader):
            if verb == "rcpt":
                recipient = line.partition("<")[2].partition(">")[0]
                if recipient.endswith(f"@{self.hangs_for}"):
                    await asyncio.Event().wait()
            said = await self._say(writer, verb, self._usual(verb))
            if verb == "data" and said.startswith(b"354"):
                self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                said = await self._say(writer, "dot", b"250 2.0.0 taken")
                if said.startswith(b"250"):
                    self.taken.append(recipient)
                sent += 1
            if _ends(said) or sent >= self.last:
                return

    async def _commands(self, reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, str]]:
        buffered: bytearray = reader._buffer  # type: ignore[attr-defined]
        while True:
            line = (await reader.readuntil(b"\r\n")).decode()
            self.groups.append(1 + buffered.count(b"\r\n"))
            verb = line[:4].strip().lower()
            self.seen.append(verb)
            yield verb, line

    def _usual(self, verb: str) -> bytes:
        if verb == "ehlo":
            return b"250-odd.test\r\n250-PIPELINING\r\n250 SIZE" if self.pipelining else b"250 odd.test"
        return {"data": b"354 go on", "quit": b"221 2.0.0 bye"}.get(verb, b"250 2.0.0 fine")

    async def _say(self, writer: asyncio.StreamWriter, verb: str, usual: bytes) -> bytes:
        answer = self.once.pop(verb, self.answers.get(verb, usual))
        if answer == HANG:
            await asyncio.Event().wait()
        writer.write(answer + b"\r\n")
        await writer.drain()
        return answer


def _ends(said: bytes) -> bool:
    return said.startswith((b"421", b"221"))
