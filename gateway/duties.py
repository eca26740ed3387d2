"""What a worker does as long as it lives: rounds that outlive any error, and tasks none of which ends unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any, Final, NoReturn

from gateway import log
from gateway.core.errors import Surroundings

REMINDER_SECONDS: Final = 60.0
"""The same failure of the same round is told so often: a round may come each second, and last night's fault all night."""


async def rounds(name: str, one: Callable[[], Awaitable[None]], every_seconds: float) -> NoReturn:
    """Call `one` again and again, with so many seconds between, until cancelled. A round that fails is told to the log, and
    the next one is made: what watches must not be ended by what it sees.
    """
    failures = _Failures(name)
    while True:
        try:
            await one()
        except Exception as error:  # noqa: BLE001  the loop's one broad except: a bad round stops no other
            failures.tell(error)
        await asyncio.sleep(every_seconds)


class _Failures:
    """Of one kind of round: each told when it is new, then as a reminder."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = ""
        self._told_at = 0.0
        self._log = log.get("worker")

    def tell(self, error: Exception) -> None:
        words = f"{type(error).__name__}: {error}"
        if words == self._told and monotonic() < self._told_at + REMINDER_SECONDS:
            return
        self._told, self._told_at = words, monotonic()
        if isinstance(error, Surroundings):
            self._log.warning("round waits", round=self._name, error=str(error))
        else:
            self._log.error("round failed", round=self._name, exc_info=error)


class Duties:
    """Tasks that live as long as their worker. One that ends before its time ends the worker too, in good order: a worker
    that no longer does all it is there for looks well from outside, and only the supervisor can start another.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        """`stop` is set when the worker is to end, by whoever; tasks may end from then on."""
        self._stop = stop
        self._watching: list[asyncio.Task[Any]] = []
        self.failed = False
        """Whether one ended before its time, or with an error."""
        self._log = log.get("worker")

    def watch(self, name: str, watcher: Coroutine[Any, Any, None]) -> None:
        """Run it until `cancel`."""
        task = asyncio.create_task(watcher)
        self._watching.append(task)
        self.keep(name, task)

    def keep(self, name: str, task: asyncio.Task[None]) -> None:
        """Of a task that its own owner ends."""
        task.add_done_callback(lambda done: self._ended(name, done))

    async def cancel(self) -> None:
        for task in self._watching:
            task.cancel()
        if self._watching:
            await asyncio.wait(self._watching)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._stop.is_set() and not error:
            return
        self.failed = True
        self._log.error("part of the worker ended before its time; the worker ends", part=name, exc_info=error)
        self._stop.set()
