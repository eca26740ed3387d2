"""A hunt over kept files, one of which the scanner does not survive: the others are scanned all the same."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.commands import rescan as hunting
from gateway.commands.rescan import Tally, WentAway, rescan
from gateway.core.clock import now
from gateway.jobs.job import Turn
from gateway.jobs.tasks.rescan import JOB
from gateway.store.kept_files import Scope
from tests.scenarios.test_rescan import HARMLESS, LATE, fates, mailed, message, with_files
from tests.servers.fake_clamd import FakeClamd, question
from tests.servers.inprocess import Gateway, fresh_ground, running

DEADLY = b"%PDF-1.4 a file that no clamd survives"


class Mortal:
    """A clamd that knows LATE, and dies of DEADLY where it `dies`: it answers nothing more. One that `revives` is
    deaf to one question only, as one that is started anew by itself.
    """

    def __init__(self) -> None:
        self.version, self.dies, self.dead, self.revives = 1, False, False, False
        self.deaths = 0
        self.says_nothing_of: bytes | None = None

    def __call__(self, sock: socket.socket) -> None:
        if said := self._answer(*question(sock)):
            sock.sendall(said + b"\0")

    def _answer(self, command: bytes, content: bytes) -> bytes:
        if self.dead:
            self.dead = not self.revives
            return b""
        if command == b"zVERSION\0":
            return b"ClamAV 1.4.3/%d/Sat Nov 21 09:24:11 2026" % self.version
        if command == b"zPING\0":
            return b"PONG"
        if self.dies and DEADLY in content:
            self.dead, self.deaths = True, self.deaths + 1
            return b""
        if self.says_nothing_of and self.says_nothing_of in content:
            return b"stream: Can't allocate memory ERROR"
        return b"stream: Late.Virus FOUND" if self.version > 1 and LATE in content else b"stream: OK"


class _Turn(Turn):
    """Of no job row."""

    async def keep(self, state: dict[str, Any]) -> None:
        self.state = state


@pytest.fixture
async def scanned(seed: Path, tmp_path: Path) -> AsyncIterator[tuple[Gateway, Mortal]]:
    mortal = Mortal()
    with FakeClamd(mortal, at_once=True) as clamd:
        ground = fresh_ground(seed, tmp_path / "data", GATEWAY_CLAMAV__ADDRESS=clamd.address)
        async with running(ground) as gateway:
            yield gateway, mortal


async def three_messages(gateway: Gateway) -> list[dict[str, Any]]:
    """The middle one is deadly; the others are infected for who has the second signatures."""
    contents = (LATE + b" one", DEADLY, LATE + b" two")
    return [await mailed(gateway, with_files(n, content)) for n, content in enumerate(contents)]


async def one_run(gateway: Gateway, state: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    bench = app.bench_of(gateway.line)
    turn = _Turn(now(), state, JOB.name, "test", gateway.ground.store, gateway.line.store_pool)
    try:
        return await JOB.run(bench, turn), turn.state
    except WentAway as away:
        return str(away), turn.state
    finally:
        await bench.scans.close()


async def test_the_job_passes_over_what_kills_the_scanner_each_time(scanned: tuple[Gateway, Mortal]) -> None:
    """The hunt used to end there for ever: each run began with the file that ended the one before."""
    gateway, mortal = scanned
    kept = await three_messages(gateway)
    mortal.version, mortal.dies = 2, True
    state: dict[str, Any] = {}
    for time in (1, 2, 3):
        said, state = await one_run(gateway, state)
        assert f"It had file 2 (1.pdf) of message {kept[1]['id']} of acme before it, try {time} of 3" in said
        assert (mortal.deaths, state.get("done")) == (time, None)
        assert await one_run(gateway, state) == ("", state)  # nobody answers: nothing to count
        mortal.dead = False

    said, state = await one_run(gateway, state)

    assert (state["done"], state["found"], mortal.deaths) == (True, 2, 3)
    assert said.startswith("2 kept files of 3 messages scanned")
    assert f"1 passed over until the next signatures: file 2 (1.pdf) of message {kept[1]['id']} of acme" in said
    assert "the scanner went away while it had it" in said
    states = [message(gateway, m["id"])["scan"]["status"] for m in kept]
    assert states == ["infected", "clean", "infected"]


async def test_the_next_signatures_try_it_again(scanned: tuple[Gateway, Mortal]) -> None:
    gateway, mortal = scanned
    await mailed(gateway, with_files(1, DEADLY))
    mortal.dies, mortal.revives = True, True
    state: dict[str, Any] = {}
    while not state.get("done"):
        _, state = await one_run(gateway, state)
    deaths = mortal.deaths
    assert (deaths, await one_run(gateway, state)) == (3, ("", state))

    mortal.version, mortal.dies = 3, False
    said, state = await one_run(gateway, state)
    assert said.startswith("1 kept files of 1 messages scanned")
    assert "passed over" not in said
    assert state["tries"] == {}


async def by_hand(gateway: Gateway, patience_seconds: float = 60.0) -> Tally:
    bench = app.bench_of(gateway.line)
    try:
        return await rescan(bench, Scope(), by="test", patience_seconds=patience_seconds)
    finally:
        await bench.scans.close()


async def test_the_command_waits_for_the_scanner_and_goes_on(
    scanned: tuple[Gateway, Mortal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hunting, "_POLL_SECONDS", 0.01)
    gateway, mortal = scanned
    kept = await three_messages(gateway)
    copy = await mailed(gateway, with_files("copy", DEADLY))
    mortal.version, mortal.dies, mortal.revives = 2, True, True
    tally = await by_hand(gateway)
    assert {f.holder.id for f in tally.found} == {kept[0]["id"], kept[2]["id"]}
    assert ([p.holder.id for p in tally.passed_over], mortal.deaths) == ([copy["id"]], 3)
    assert fates(message(gateway, kept[1]["id"])) == [("kept", "")]


async def test_the_command_says_what_the_scanner_had_when_it_does_not_come_back(
    scanned: tuple[Gateway, Mortal],
) -> None:
    gateway, mortal = scanned
    kept = await mailed(gateway, with_files(1, DEADLY))
    mortal.dies = True
    with pytest.raises(WentAway, match=f"clamav does not answer.* It had file 2 .* of message {kept['id']} of acme"):
        await by_hand(gateway, patience_seconds=0)


async def test_what_the_scanner_gives_no_answer_about_is_named(scanned: tuple[Gateway, Mortal]) -> None:
    """It was counted as scanned, and who read the result did not hear of it."""
    gateway, mortal = scanned
    await mailed(gateway, with_files(1, HARMLESS, DEADLY))
    mortal.says_nothing_of = DEADLY
    tally = await by_hand(gateway)
    assert [(str(p.file and p.file.name), p.why) for p in tally.passed_over] == [
        ("2.pdf", "the scanner could not scan it (error)")
    ]
    assert (tally.files, tally.unscannable) == (1, 0)
