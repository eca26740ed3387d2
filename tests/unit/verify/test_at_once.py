from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.verify.at_once import KnownOnly, MustAsk, at_once, together


class Cache:
    """Knows one name; counts who was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def txt(self, name: str) -> tuple[bytes, ...]:
        self.asked.append(name)
        return (b"asked",)

    async def records(self, name: str, _kind: str) -> tuple[Any, ...]:
        self.asked.append(name)
        return ((b"asked",),)

    def known(self, name: str, _kind: str) -> tuple[Any, ...] | None:
        return ((b"known",),) if name == "known.test" else None


async def test_what_is_known_is_answered_without_a_task() -> None:
    resolver = KnownOnly(Cache())
    tasks = asyncio.all_tasks()
    assert at_once(resolver.txt("known.test")) == (b"known",)
    assert at_once(together(resolver, resolver.txt("known.test"), resolver.txt("known.test"))) == [(b"known",)] * 2
    assert asyncio.all_tasks() == tasks


def test_what_must_be_asked_ends_the_attempt_and_asks_nobody() -> None:
    cache = Cache()
    resolver = KnownOnly(cache)
    with pytest.raises(MustAsk):
        at_once(resolver.txt("unknown.test"))
    with pytest.raises(MustAsk):
        at_once(
            together(resolver, resolver.txt("known.test"), resolver.txt("unknown.test"), resolver.txt("known.test"))
        )
    assert cache.asked == []


def test_no_guard_against_hostile_records_takes_it_for_a_result() -> None:
    async def guarded() -> str:
        try:
            await KnownOnly(Cache()).records("unknown.test", "A")
        except Exception:
            return "permerror"
        return "none"

    with pytest.raises(MustAsk):
        at_once(guarded())


async def test_work_that_waits_for_something_else_is_ended_there() -> None:
    ended = []

    async def waits() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    with pytest.raises(MustAsk):
        at_once(waits())
    assert ended


async def test_with_a_resolver_that_may_ask_all_are_asked_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def meets() -> int:
        await met.wait()
        return 1

    assert await asyncio.wait_for(together(Cache(), meets(), meets()), 60) == [1, 1]
