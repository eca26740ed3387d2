"""Replies in the order of their commands (RFC 5321 section 4.2), also to commands sent in one piece (RFC 2920).

Takes the connection over from aiosmtplib once it is greeted, encrypted and logged in: that library reads one reply for
each command, and drops what else came with it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import cast

REPLY_OCTETS = 32 * 1024
"""The most that is kept of what was not read yet."""

_LINE = re.compile(rb"([2-5][0-9]{2})([ -]?)(.*)", re.DOTALL)


class BadReply(ValueError):
    """What came is no reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; the texts of its lines are joined by LF."""

    code: int
    text: str


class Wire(asyncio.Protocol):
    """One connection. Whoever writes commands asks for as many replies, in order; nobody else may meanwhile."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._unread = b""
        self._lines: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._end: Exception | None = None
        transport.set_protocol(self)

    @property
    def is_quiet(self) -> bool:
        """Open, and nothing said unasked: a server that takes its leave says 421 first."""
        return not (self._end or self._transport.is_closing() or self._replies or self._unread or self._lines)

    def write(self, octets: bytes) -> None:
        """Raises ConnectionError when there is nobody to read it."""
        if self._transport.is_closing():
            raise self._end or ConnectionResetError("the connection was closed")
        self._transport.write(octets)

    async def reply(self) -> Reply:
        """The next. Raises ConnectionError when the other side closed instead, BadReply."""
        while not self._replies:
            if self._end:
                raise self._end
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.popleft()

    def close(self) -> None:
        """What was written still goes out."""
        self._transport.close()

    def abort(self) -> None:
        """What was written and is not out yet never leaves."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        try:
            for line in lines:
                self._take(line.rstrip(b"\r"))
            self._bound()
        except BadReply as fault:
            self._over(fault)
            self._transport.abort()
        if self._replies:
            self._tell()

    def eof_received(self) -> None:
        self._over(ConnectionResetError("the relay closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(ConnectionResetError(f"the connection was lost{f': {exc}' if exc else ''}"))

    def _take(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if not found:
            raise BadReply(f"no reply: {line[:120].decode('utf-8', 'replace')}")
        code, mark, text = found.groups()
        self._lines.append(text.strip())
        if mark == b"-":
            return
        self._replies.append(Reply(int(code), b"\n".join(self._lines).decode("utf-8", "replace")))
        self._lines = []

    def _bound(self) -> None:
        held = len(self._unread) + sum(map(len, self._lines)) + sum(len(r.text) for r in self._replies)
        if held > REPLY_OCTETS:
            raise BadReply("replies without end")

    def _over(self, why: Exception) -> None:
        self._end = self._end or why
        self._tell()

    def _tell(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


def over(transport: asyncio.BaseTransport) -> Wire:
    """Of a transport that is open; its protocol hears nothing any more."""
    return Wire(cast("asyncio.Transport", transport))
