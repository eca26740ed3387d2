"""The data directory goes away while mail comes, as with a disk that is unmounted: nothing is accepted, nothing made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers.inprocess import Gateway, fresh_ground, numbered, running

LARGE = (b"x" * 70 + b"\r\n") * 6000
"""Spooled as it comes, and kept as a blob."""


@pytest.fixture
async def moved(seed: Path, tmp_path: Path) -> AsyncIterator[tuple[Gateway, Path, Path]]:
    """A gateway, where its data directory was, and where that is now."""
    place, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    async with running(fresh_ground(seed, place)) as gateway:
        async with gateway.client() as client:
            assert (await client.mail(numbered("before") + LARGE)).code == 250
        place.rename(elsewhere)
        try:
            yield gateway, place, elsewhere
        finally:
            if elsewhere.exists():
                place.rmdir() if place.exists() else None
                elsewhere.rename(place)


async def refused(gateway: Gateway) -> list[int]:
    async with gateway.client() as client:
        codes = []
        for n, more in (("small", b""), ("large", LARGE)) * 2:
            codes.append((await client.mail(numbered(n) + more)).code)
            await client.say("RSET")
        return codes


async def test_a_large_message_was_accepted_into_a_folder_made_anew(moved: tuple[Gateway, Path, Path]) -> None:
    """Its row was in the database that had moved, its blob where that was no more; the next restart missed it."""
    gateway, place, elsewhere = moved
    assert set(await refused(gateway)) <= {451, 452}
    assert not place.exists()

    elsewhere.rename(place)
    async with gateway.client() as client:
        assert (await client.mail(numbered("again") + LARGE)).code == 250
    messages = await asyncio.to_thread(gateway.messages)
    assert sorted(m["subject"] for m in messages) == ["Pump again", "Pump before"]
    assert all(gateway.raw(m["id"]) for m in messages)


async def test_the_empty_folder_that_a_disk_was_mounted_on_is_no_data_directory(
    moved: tuple[Gateway, Path, Path],
) -> None:
    gateway, place, _ = moved
    place.mkdir()
    assert set(await refused(gateway)) <= {451, 452}
    left = [p.name for p in place.rglob("*") if p.name != "spool"]
    for made in sorted(place.rglob("*"), reverse=True):
        made.rmdir() if made.is_dir() else made.unlink()
    assert left == []
