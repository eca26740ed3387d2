"""Bounded thread pools: one for the store, one for CPU. The event loop never waits on a disk or parses a large message."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

INLINE_BYTES = 64 * 1024
"""Content up to this size is parsed and judged on the event loop: a thread switch costs more."""


class Offload:
    """Runs a plain function in a pool of its own, with the caller's context (trace id in the log)."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises MemoryError where no thread can be started for it, and what the function raises."""
        context = contextvars.copy_context()
        call = functools.partial(context.run, functools.partial(function, *args, **kwargs))
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            raise MemoryError(str(error)) from error  # there is no room for its stack
        return await future

    def close(self) -> None:
        """Wait for what is running; nothing new starts."""
        self._pool.shutdown(wait=True, cancel_futures=True)
