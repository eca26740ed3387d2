"""The worker's end of the socket pair to its supervisor: each learns by it that the other is gone, or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

INTERVAL_SECONDS: Final = 1.0


class Life:
    """Lives in the event loop, so that its silence is the loop's."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._ours = ours

    def watch(self, on_end: Callable[[], None]) -> None:
        """Call `on_end` once when the supervisor is gone."""
        asyncio.get_running_loop().add_reader(self._ours, self._gone, on_end)

    def _gone(self, on_end: Callable[[], None]) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        on_end()

    async def show(self) -> None:
        """The first octet says that this worker serves, the others that it lives. Runs until cancelled."""
        while True:
            # a supervisor that does not read is stopped, or gone: `watch` sees the latter
            with contextlib.suppress(OSError):
                self._ours.send(b".")
            await asyncio.sleep(INTERVAL_SECONDS)
