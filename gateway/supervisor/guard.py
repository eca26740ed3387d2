"""What keeps the supervisor's loop turning: it holds the sockets, so its end would be the end of all mail."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, ParamSpec

P = ParamSpec("P")

_AGAIN_SECONDS: Final = 10.0


class Guard:
    """Runs the steps of a round; one that fails is told, and stops no other."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: dict[str, float] = {}

    def keep(self, step: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """False when it failed. The same fault is told every ten seconds, not in every round."""
        try:
            step(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  the guard is the point
            self._tell(
                f"{_place(error)}: {error!r}; this is a fault of the gateway's own, or of the machine; it goes on"
            )
            return False
        return True

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        if now - self._told.get(text, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        if len(self._told) > 100:
            self._told.clear()
        self._told[text] = now
        with suppress(Exception):  # a word that fails must not end what it tells of
            self._say(text)


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno} ({last.name})"
