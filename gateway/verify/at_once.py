"""Work whose every question is answered already, done where it stands.

Most mail comes from where mail came from before, and DNS has nothing new to say of it. A task for each check then costs
more than some of the checks. So each is tried with what is known; one that would have to ask is begun anew as a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.core.ports import Resolver

T = TypeVar("T")


class MustAsk(BaseException):
    """Somebody must be asked. No Exception, so that no guard against hostile records takes it for a result."""


@dataclass(frozen=True, slots=True)
class KnownOnly:
    """A resolver that answers what is known, and raises MustAsk for anything else."""

    resolver: Resolver

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """Raises MustAsk."""
        return tuple(b"".join(strings) for strings in self.known(name, "TXT"))

    async def records(self, name: str, kind: str) -> tuple[Any, ...]:
        """Raises MustAsk."""
        return self.known(name, kind)

    def known(self, name: str, kind: str) -> tuple[Any, ...]:
        """Raises MustAsk."""
        found = self.resolver.known(name, kind)
        if found is None:
            raise MustAsk
        return found


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that waits for nothing but a `KnownOnly`. Raises MustAsk, and what the work raises."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise MustAsk


async def together(resolver: Resolver, *works: Coroutine[Any, Any, T]) -> list[T]:
    """The results of all: side by side where somebody may have to be asked. With a `KnownOnly`, whose answers nobody waits
    for, one after the other and without tasks.
    """
    if not isinstance(resolver, KnownOnly):
        return await asyncio.gather(*works)
    try:
        return [await work for work in works]
    finally:
        for work in works:
            work.close()
