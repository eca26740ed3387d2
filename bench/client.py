"""One SMTP client connection as a real MTA holds it: MAIL, RCPT and DATA in one packet (RFC 2920), then the content."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Self

from bench.messages import DOMAIN, SENDER

HELLO = f"client.{DOMAIN}"


@dataclass(frozen=True, slots=True)
class Reply:
    """The last line of a reply, and the seconds from MAIL to it."""

    line: str
    seconds: float

    @property
    def accepted(self) -> bool:
        return self.line.startswith("2")


class Client:
    """Raises OSError or asyncio.IncompleteReadError when the server goes away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, host: str, port: int, source: str = "") -> Self:
        """Greeted, with EHLO said. Raises ConnectionRefusedError also when the greeting is not 220."""
        local = (source, 0) if source else None
        reader, writer = await asyncio.open_connection(host, port, local_addr=local)
        client = cls(reader, writer)
        greeting = await client.reply()
        if not greeting.startswith("220"):
            writer.close()
            raise ConnectionRefusedError(greeting)
        await client.command(f"EHLO {HELLO}")
        return client

    async def command(self, line: str) -> str:
        self._writer.write(line.encode() + b"\r\n")
        return await self.reply()

    async def reply(self) -> str:
        """The last line of the next reply. Raises ConnectionAbortedError with the reply of a server that leaves (421)."""
        while True:
            line = await self._reader.readuntil(b"\r\n")
            if line.startswith(b"421"):
                raise ConnectionAbortedError(line.decode("utf-8", "replace").rstrip())
            if line[3:4] != b"-":
                return line.decode("utf-8", "replace").rstrip()

    async def begin(self, recipient: str, sender: str = SENDER) -> str:
        """MAIL, RCPT, DATA in one packet; empty when content may come, else the first reply that says no (then RSET)."""
        self._writer.write(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        said = [await self.reply() for _ in range(3)]
        refusal = next((line for line in said if line[:1] in "45"), "")
        if refusal and said[-1].startswith("354"):  # RFC 2920 section 3.1: DATA without a recipient may be accepted
            await self.command(".")
        if refusal:
            await self.command("RSET")
        return refusal

    async def send(self, content: bytes, recipient: str, sender: str = SENDER) -> Reply:
        """One transaction; `content` as it goes over the wire, see `dotted`."""
        started = perf_counter()
        if refusal := await self.begin(recipient, sender):
            return Reply(refusal, perf_counter() - started)
        await self.write(content)
        return Reply(await self.reply(), perf_counter() - started)

    async def write(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()

    async def quit(self) -> None:
        await self.command("QUIT")
        self.close()

    def close(self) -> None:
        self._writer.close()


def dotted(content: bytes) -> bytes:
    """Content as it goes over the wire: transparent, and ended by the final dot (RFC 5321 section 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return (b"." if content.startswith(b".") else b"") + stuffed + b".\r\n"
