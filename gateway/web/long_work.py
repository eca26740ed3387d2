"""What looks at much past mail: in a thread of its own, one at a time, so that it holds up neither mail nor the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from gateway.offload import Offload
from gateway.web.problems import Problem

P = ParamSpec("P")
R = TypeVar("R")

MOST_MESSAGES = 10_000
"""So much past mail one request may look at: a minute's work."""
MOST_WAITING = 4


class LongWork:
    def __init__(self) -> None:
        self._pool = Offload("replay", 1)
        self._asked = 0

    async def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises Problem where others wait already, and what the function raises."""
        if self._asked > MOST_WAITING:
            raise Problem(503, "past mail is being looked at for others; please try again in a minute")
        self._asked += 1
        try:
            return await self._pool(function, *args, **kwargs)
        finally:
            self._asked -= 1

    def close(self) -> None:
        self._pool.close()
