"""The octets of a session: what has come and was not read yet. Command lines and content come from one place, so that
nothing is read twice, lost, or read as what it is not.

asyncio's StreamReader cannot say what waits in it without being read, and that is what tells an early talker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

COMMAND_OCTETS = 512
"""Longest command line with its CRLF (RFC 5321 section 4.5.3.1.4)."""
PATH_COMMAND_OCTETS = 1000
"""The same for MAIL and RCPT: their extensions lengthen it (RFC 1870, RFC 6531), SRS makes long local parts of it."""
HELD_OCTETS = 64 * 1024
"""As much may wait unread before the client is made to wait."""
RECEIVE_OCTETS = 64 * 1024
"""As much is received at a time."""
COMMANDS_AT_ONCE = 50
"""So many of one client are obeyed before others have their turn, though more of them have come."""


class SessionEnded(Exception):
    """The client closed its side."""


class LineTooLong(Exception):
    """A command line over its limit; it has been read to its end. `verb` is what it began with."""

    def __init__(self, verb: bytes) -> None:
        super().__init__()
        self.verb = verb


class BareLineFeed(Exception):
    """A command that ends with LF alone: where two servers disagree on that, commands hide in content (T01)."""


class Flow(Protocol):
    """The part of a transport that reading needs."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def _nothing() -> None:
    return


class Wire:
    """Fed by the protocol, read by the session. `before_wait` is awaited whenever the client is waited for: what was
    said to it and not sent yet goes out then, and a pipelined group gets its replies in one piece (RFC 2920 section 3.2).
    """

    def __init__(self, before_wait: Callable[[], Awaitable[None]] = _nothing) -> None:
        self._flow: Flow | None = None
        self._before_wait = before_wait
        self._held = b""
        self._at = 0
        self._fed = 0
        self._read_at_once = 0
        self._paused = False
        self._end: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # --- the protocol's side ---

    def feed(self, octets: bytes) -> None:
        self._held = self._held[self._at :] + octets if self.has_pending else octets
        self._at = 0
        self._fed += 1
        if len(self._held) > HELD_OCTETS and self._flow and not self._paused:
            self._paused = True
            self._flow.pause_reading()
        self._wake()

    def end(self, why: Exception | None = None) -> None:
        """Nothing more comes. What has come can still be read, unless there is a reason to stop at once."""
        self._end = why or self._end or SessionEnded()
        if why:
            self._held, self._at = b"", 0
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def begin(self, flow: Flow) -> None:
        """Octets come by `flow` from now on."""
        self._flow, self._paused = flow, False

    def forget(self) -> None:
        """TLS begins: what came in clear is nobody's (RFC 3207 section 4.2)."""
        self._held, self._at = b"", 0

    # --- the session's side ---

    @property
    def has_pending(self) -> bool:
        """Octets have come that nobody has read."""
        return self._at < len(self._held)

    @property
    def is_waiting(self) -> bool:
        """The session waits for the client."""
        return self._waiter is not None

    async def start(self, octets: int) -> bytes:
        """The first octets that have come, without reading them; waits for at least one. Raises SessionEnded."""
        if not self.has_pending:
            await self._more()
        return self._held[self._at : self._at + octets]

    async def grow(self) -> bytes:
        """Everything unread, once more of it has come. Raises SessionEnded."""
        await self._more()
        return self._held[self._at :]

    async def command(self) -> bytes:
        """The next line without its CRLF. Raises SessionEnded, LineTooLong, BareLineFeed."""
        await self._let_others()
        searched, too_long = self._at, b""
        while (end := self._held.find(b"\n", searched)) < 0:
            if len(self._held) - self._at > PATH_COMMAND_OCTETS:
                # a CR may stand last: kept, so that the LF that follows is no bare one
                too_long = too_long or self._held[self._at : self._at + 4]
                self._skip(len(self._held) - self._at - 1)
            left = len(self._held) - self._at
            await self._more()
            searched = self._at + left
        line = self._held[self._at : end + 1]
        self._skip(len(line))
        if not line.endswith(b"\r\n"):
            raise BareLineFeed
        if too_long or len(line) > _longest(line):
            raise LineTooLong((too_long or line[:4]).upper())
        return line[:-2]

    async def _let_others(self) -> None:
        """What is read without waiting for it never gives up the event loop: `BDAT 0` fifty thousand times held it 5 s."""
        self._read_at_once += 1
        if self._read_at_once >= COMMANDS_AT_ONCE:
            self._read_at_once = 0
            await asyncio.sleep(0)

    async def block(self, most: int = 1 << 62) -> bytes:
        """Whatever has come, at least one octet, at most `most`. Raises SessionEnded."""
        if not self.has_pending:
            await self._more()
        block = self._held if not self._at and len(self._held) <= most else self._held[self._at : self._at + most]
        self._skip(len(block))
        return block

    def give_back(self, rest: bytes) -> None:
        """Octets of the last block that belong to the next command."""
        if rest:
            self._held, self._at = rest + self._held[self._at :], 0

    def skip(self, octets: int) -> None:
        """Octets seen by `start` or `grow` that are dealt with."""
        self._skip(octets)

    def _skip(self, octets: int) -> None:
        self._at += octets
        if self._at >= len(self._held):
            self._held, self._at = b"", 0
        if self._paused and self._flow and len(self._held) - self._at <= HELD_OCTETS // 2:
            self._paused = False
            self._flow.resume_reading()

    async def _more(self) -> None:
        """Until octets have come that were not there before. Raises SessionEnded, or what `end` was given."""
        fed, self._read_at_once = self._fed, 0
        await self._before_wait()
        while self._fed == fed:
            if self._end:
                raise self._end
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._end and not self.has_pending:
            raise self._end


def _longest(line: bytes) -> int:
    verb = line[:4].upper()
    return PATH_COMMAND_OCTETS if verb in (b"MAIL", b"RCPT") else COMMAND_OCTETS
