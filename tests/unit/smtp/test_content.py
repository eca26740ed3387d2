"""Content while it comes: within the memory budget, else in the spool, and whole again for the line."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.errors import StorageFull
from gateway.offload import Offload
from gateway.smtp import content as module
from gateway.smtp.content import MEMORY_OCTETS, Budget, Incoming, Spool

MEBI = 1 << 20


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    pool = Offload("spool", 2)
    yield Spool(tmp_path / "spool", 2 * MEBI, pool)
    pool.close()


async def whole(incoming: Incoming) -> bytes:
    async with incoming.whole() as content:
        return content


def free(budget: Budget) -> int:
    return budget._coming


COMING = MEBI // 2
"""A quarter of the fixture's budget."""


@pytest.mark.parametrize("size", [0, 1, 65_536, MEMORY_OCTETS, MEMORY_OCTETS + 1, 3 * MEBI + 7])
@pytest.mark.parametrize("piece", [1000, 65_536, 262_144])
async def test_content_comes_back_exactly_from_memory_or_spool(spool: Spool, size: int, piece: int) -> None:
    content = os.urandom(size)
    incoming = spool.incoming(10 * MEBI)
    for i in range(0, size, piece):
        await incoming.add(content[i : i + piece])
    assert incoming.size_bytes == size
    assert incoming.sha256 == hashlib.sha256(content).hexdigest()
    assert await whole(incoming) == content
    incoming.close()
    assert free(spool.budget) == COMING


async def test_small_content_within_the_budget_is_not_written(spool: Spool) -> None:
    incoming = spool.incoming(10 * MEBI)
    await incoming.add(bytes(MEMORY_OCTETS))
    assert not spool.folder.exists()
    assert free(spool.budget) == COMING - MEMORY_OCTETS
    incoming.close()


async def test_what_goes_to_the_spool_gives_its_memory_back_at_once_and_leaves_no_name(tmp_path: Path) -> None:
    pool = Offload("spool", 2)
    spool = Spool(tmp_path / "spool", 400_000, pool)
    first, second = spool.incoming(10 * MEBI), spool.incoming(10 * MEBI)
    await first.add(bytes(100_000 - 10))
    await second.add(b"x" * 10)
    await second.add(b"y")
    assert free(spool.budget) == 10
    assert list(spool.folder.iterdir()) == []
    first.close()
    assert await whole(second) == b"x" * 10 + b"y"
    second.close()
    pool.close()


async def test_large_content_is_not_in_memory_whatever_is_free(spool: Spool) -> None:
    """A client that stalled in the middle of it held up to half of the budget."""
    incoming = Spool(spool.folder, 100 * MEBI, spool.pool).incoming(10 * MEBI)
    for _ in range(70):
        await incoming.add(bytes(60_000))
        assert incoming._memory.tell() <= MEMORY_OCTETS
    assert incoming._memory.tell() < module.WRITE_OCTETS
    assert incoming._reserved == 0
    incoming.close()


async def test_too_much_is_forgotten_as_it_comes_but_counted(spool: Spool) -> None:
    incoming = spool.incoming(100_000)
    tracemalloc.start()
    for _ in range(400):
        await incoming.add(bytes(50_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (incoming.is_too_big, incoming.size_bytes) == (True, 20_000_000)
    assert peak < 400_000
    assert free(spool.budget) == COMING


async def test_a_message_is_held_twice_at_most(spool: Spool) -> None:
    incoming = Spool(spool.folder, 100 * MEBI, spool.pool).incoming(10 * MEBI)
    tracemalloc.start()
    for _ in range(64):
        await incoming.add(b"x" * 65_536)
    async with incoming.whole() as content:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(content) == 4 * MEBI
    incoming.close()
    assert peak < 2 * 4 * MEBI


async def test_spooled_content_waits_for_its_turn_in_order_and_the_largest_goes_alone() -> None:
    budget, order = Budget(200), []

    async def go(name: str, octets: int) -> None:
        async with budget.turn(octets):
            order.append(name)
            await asyncio.sleep(0.01)
            order.append(f"{name} ended")

    await asyncio.gather(go("a", 60), go("b", 1000), go("c", 30), go("d", 30))
    assert order[:4] == ["a", "a ended", "b", "b ended"]
    assert set(order[4:6]) == {"c", "d"}


async def test_who_waits_too_long_for_memory_is_deferred_and_the_queue_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", 0.05)
    budget = Budget(133)
    async with budget.turn(100):
        with pytest.raises(StorageFull):
            async with budget.turn(50):
                pass
    async with budget.turn(100):
        pass
    assert budget._in_turn == 0


async def test_messages_that_gave_up_together_were_counted_as_if_they_had_had_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then more than the budget had its turn at once, and one larger than that none at all any more."""
    monkeypatch.setattr(module, "TURN_SECONDS", 0.05)
    budget = Budget(133)

    async def wait(octets: int) -> None:
        async with budget.turn(octets):
            raise AssertionError("there was no room")

    async with budget.turn(60):
        results = await asyncio.gather(*(wait(n) for n in (90, 40, 39, 30)), return_exceptions=True)
    assert [type(r) for r in results] == [StorageFull] * 4
    assert budget._in_turn == 0


async def test_a_spool_that_cannot_be_written_is_told_when_the_content_is_wanted(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    incoming = spool.incoming(10 * MEBI)
    await incoming.add(bytes(2 * MEBI))
    await incoming.add(b"more")
    with pytest.raises(StorageFull):
        await whole(incoming)
    incoming.close()
    assert free(spool.budget) == COMING


async def test_a_disk_that_fills_up_in_the_last_piece_is_told_too(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = spool.incoming(10 * MEBI)
    await incoming.add(bytes(2 * MEBI))
    await incoming.add(b"rest")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(StorageFull, match="No space left"):
        await whole(incoming)
    incoming.close()


async def test_a_session_cancelled_while_a_thread_writes_closes_the_file_only_when_that_is_done(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the thread would write into whatever file is given the descriptor's number next."""
    go_on, writing = asyncio.Event(), asyncio.Event()
    pool = spool.pool

    class Slow:
        async def __call__(self, function: object, *args: object) -> object:
            result: object = await pool(function, *args)  # type: ignore[arg-type]
            if function is module._write:
                writing.set()
                await go_on.wait()
            return result

    monkeypatch.setattr(spool, "pool", Slow())
    incoming = spool.incoming(10 * MEBI)
    adding = asyncio.create_task(incoming.add(bytes(2 * MEBI)))
    await writing.wait()
    file = incoming._file
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    incoming.close()
    assert file
    assert incoming._work
    assert not file.closed
    go_on.set()
    await asyncio.wait({incoming._work}, timeout=60)
    await asyncio.sleep(0)  # the callback runs behind the end of the work
    assert file.closed


async def test_a_file_made_for_a_session_that_was_cancelled_before_it_heard_of_it_stayed_open(spool: Spool) -> None:
    incoming = spool.incoming(10 * MEBI)
    adding = asyncio.create_task(incoming.add(bytes(2 * MEBI)))
    while not (incoming._work and incoming._work.done()):  # noqa: ASYNC110  the moment before the session hears of it
        await asyncio.sleep(0)
    made = incoming._work.result()
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert incoming._file is None
    incoming.close()
    assert made.closed
