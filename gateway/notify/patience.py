"""How long an attempt waits for the other side, and that somebody may shorten it while it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Patience:
    """Of one attempt: `before` seconds in all until the content is sent, `after` for the answer to the final dot.

    Two times, because they mean two things. Until the final dot nothing has happened, and another relay may be asked.
    After it the mail may be theirs: to leave early there makes duplicates (RFC 5321 sections 4.5.3.2.6 and 6.1).
    """

    def __init__(self, before: float, after: float) -> None:
        self._seconds, self._after = before, after
        self._timeout: asyncio.Timeout | None = None
        self._began = 0.0
        self.content_is_out = False

    @property
    def seconds(self) -> float:
        """What the present part of the attempt was given."""
        return self._seconds

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The attempt itself. Raises TimeoutError when it took too long."""
        self._began = asyncio.get_running_loop().time()
        async with asyncio.timeout(self._seconds) as self._timeout:
            yield

    def content_sent(self) -> None:
        """From now on the final dot may be on its way."""
        self.content_is_out = True
        self._seconds, self._began = self._after, asyncio.get_running_loop().time()
        self._move()

    def shorten(self, before: float) -> None:
        """There is somebody else to ask: `before` seconds from the beginning are enough, where they were more."""
        if not self.content_is_out and before < self._seconds:
            self._seconds = before
            self._move()

    def _move(self) -> None:
        if self._timeout and not self._timeout.expired():
            self._timeout.reschedule(self._began + self._seconds)
