"""How long a client may take: idle, in all, and at what rate content must come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.core.outcome import Reason

IDLE_SECONDS = 300.0
"""RFC 5321 section 4.5.3.2.7 wants at least five minutes for a command; a block of content may take three."""
SESSION_SECONDS = 1800.0
STOPPING_SECONDS = 5.0
"""So long a client may be silent while we stop: with one worker everybody who comes waits until it has ended."""
LEAST_OCTETS_PER_SECOND = 500
CONTENT_GRACE_SECONDS = 60.0
"""Content is measured against the least rate from then on."""


class Pace:
    """The deadline of one session. One timer, moved when it rings too early: hearing something costs no timer."""

    def __init__(self, on_deadline: Callable[[Reason], None]) -> None:
        self._on_deadline = on_deadline
        self._loop = asyncio.get_running_loop()
        self._ends_at = time.monotonic() + SESSION_SECONDS
        self._heard_at = time.monotonic()
        self._held = self._closed = False
        self._content_began: float | None = None
        self._content_octets = 0
        self._held_at = 0.0
        self._hurried_at: float | None = None
        """Later by what we worked meanwhile."""
        self._hurried_octets = 0
        self._last_octet_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def heard(self) -> None:
        """Something came."""
        self._heard_at = time.monotonic()

    def hurry(self) -> None:
        """We stop: who goes on with his content is waited for. From now on he has a few seconds, and more by what comes of it at
        the least rate; no command gives him more, or a stranger could hold up a reload for its whole grace.
        """
        self._hurried_at = time.monotonic()
        if not self._held:
            self._arm()

    def begin_content(self) -> None:
        self.heard()
        self._content_began, self._content_octets = self._heard_at, 0
        self._arm()

    def heard_content(self, octets: int) -> None:
        self.heard()
        self._content_octets += octets
        if self._hurried_at is not None:
            self._hurried_octets += octets
            self._last_octet_at = self._heard_at

    def end_content(self) -> None:
        self._content_began = None

    def hold(self) -> None:
        """We work and the client waits: our own deadlines hold."""
        self._held, self._held_at = True, time.monotonic()

    @contextmanager
    def held(self) -> Iterator[None]:
        self.hold()
        try:
            yield
        finally:
            self.go_on()

    def go_on(self) -> None:
        if self._closed:
            return
        was_held, self._held = self._held, False
        self.heard()
        if was_held and self._hurried_at is not None:
            self._hurried_at += self._heard_at - max(self._held_at, self._hurried_at)
            self._last_octet_at = self._heard_at
        self._arm()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._held = self._closed = True

    def _deadline(self) -> tuple[float, Reason]:
        deadlines = [(self._heard_at + IDLE_SECONDS, Reason.IDLE), (self._ends_at, Reason.SESSION_TOO_LONG)]
        if self._hurried_at is not None:
            came = self._hurried_octets / LEAST_OCTETS_PER_SECOND
            since = max(self._hurried_at, self._last_octet_at)
            ends_at = STOPPING_SECONDS + min(since, self._hurried_at + came)
            deadlines.append((ends_at, Reason.SHUTTING_DOWN))
        if self._content_began is not None:
            slowest = CONTENT_GRACE_SECONDS + self._content_octets / LEAST_OCTETS_PER_SECOND
            deadlines.append((self._content_began + slowest, Reason.TOO_SLOW))
        return min(deadlines)

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
        wait = max(0.0, self._deadline()[0] - time.monotonic())
        self._timer = self._loop.call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._held:
            return
        at, reason = self._deadline()
        if at > time.monotonic():
            self._arm()
        else:
            self._on_deadline(reason)
