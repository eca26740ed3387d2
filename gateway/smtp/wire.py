"""The bytes of a session: command lines and blocks of content from one buffer, so that nothing is read twice or lost."""

from __future__ import annotations

import asyncio

COMMAND_OCTETS = 4096
"""Longest command line read whole. RFC 5321 section 4.5.3.1.4 says 512 without extensions; SRS and SMTPUTF8 are longer."""
BLOCK_OCTETS = 128 * 1024


class SessionEnded(Exception):
    """The client closed its side."""


class LineTooLong(Exception):
    """A command line over COMMAND_OCTETS; it has been read to its end."""


class Wire:
    """Reads from a stream; what a reader does not need it gives back."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._pending = bytearray()

    async def command(self) -> bytes:
        """The next line without its CRLF (or LF). Raises SessionEnded, LineTooLong."""
        searched, too_long = 0, False
        while (end := self._pending.find(b"\n", searched)) < 0:
            if len(self._pending) > COMMAND_OCTETS:
                too_long = True
                self._pending.clear()
            searched = len(self._pending)
            self._pending += await self._read()
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        if too_long or len(line) > COMMAND_OCTETS:
            raise LineTooLong
        return line.removesuffix(b"\r")

    async def block(self) -> bytes:
        """Whatever has come, at least one octet. Raises SessionEnded."""
        if self._pending:
            block = bytes(self._pending)
            self._pending.clear()
            return block
        return await self._read()

    def give_back(self, rest: bytes) -> None:
        """Octets that belong to the next command."""
        self._pending[:0] = rest

    async def _read(self) -> bytes:
        block = await self._reader.read(BLOCK_OCTETS)
        if not block:
            raise SessionEnded
        return block
