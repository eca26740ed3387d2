"""Jobs under leases, on every database: one holder at a time, taken over when it lapsed, done again after a kill."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select, update

from gateway.commands.late_scan import Bench
from gateway.core.clock import now
from gateway.core.errors import InvalidInput
from gateway.ground import Ground
from gateway.jobs.job import LeaseLost, Turn, all_jobs
from gateway.jobs.runner import JobRunner
from gateway.offload import Offload
from gateway.store import jobs
from gateway.store.jobs import LEASE, Lease
from gateway.store.tables import JobRow
from gateway.store.tables.columns import columns
from tests.servers.inprocess import fresh_ground, make_seed, until

_j = columns(JobRow)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def seed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return make_seed(tmp_path_factory.mktemp(f"seed-{request.param}"), server)


@pytest.fixture
def ground(seed: Path, tmp_path: Path) -> Iterator[Ground]:
    ground = fresh_ground(seed, tmp_path / "data")
    yield ground
    ground.close()


@pytest.fixture
def pool() -> Iterator[Offload]:
    pool = Offload("test", 4)
    yield pool
    pool.close()


def row(ground: Ground, name: str) -> Any:
    with ground.store.read() as connection:
        return connection.execute(select(*_j).where(_j.name == name)).one()


def result(ground: Ground, name: str) -> str:
    """The last one; empty also before there is a row."""
    with ground.store.read() as connection:
        return connection.execute(select(_j.last_result).where(_j.name == name)).scalar() or ""


def change(ground: Ground, name: str, **values: Any) -> None:
    """As if it had come to this by itself."""
    with ground.store.write() as connection:
        connection.execute(update(JobRow).where(_j.name == name).values(**values))


# --- leases ---


def test_a_new_job_is_due_at_once_and_enrolled_once(ground: Ground) -> None:
    jobs.enrol(ground.store, ["a", "b"], LONG_AGO)
    jobs.enrol(ground.store, ["a", "b"], now() + timedelta(days=1))
    assert sorted(jobs.due(ground.store, ["a", "b"], now())) == ["a", "b"]


def test_one_of_many_who_ask_at_once_gets_it(ground: Ground) -> None:
    jobs.enrol(ground.store, ["a"], LONG_AGO)
    got: list[Lease | None] = []
    asking = [
        threading.Thread(target=lambda n=n: got.append(jobs.take(ground.store, "a", now(), by=str(n))))
        for n in range(6)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert [g for g in got if g] == [Lease("a", {})]
    assert jobs.due(ground.store, ["a"], now()) == []


def test_a_lease_that_lapsed_is_taken_over_with_what_was_kept(ground: Ground) -> None:
    jobs.enrol(ground.store, ["a"], LONG_AGO)
    assert jobs.take(ground.store, "a", now(), by="one")
    assert jobs.keep_state(ground.store, "a", {"after": 7}, by="one")
    assert jobs.take(ground.store, "a", now(), by="two") is None

    change(ground, "a", leased_until=now() - timedelta(seconds=1))
    assert jobs.take(ground.store, "a", now(), by="two") == Lease("a", {"after": 7})

    assert jobs.renew(ground.store, ["a"], now(), by="one") == set()
    assert not jobs.keep_state(ground.store, "a", {"after": 1}, by="one")
    assert not jobs.settle(ground.store, "a", now(), by="one", again_in=timedelta(0), result="late")
    assert row(ground, "a").state == {"after": 7}
    assert jobs.renew(ground.store, ["a"], now(), by="two") == {"a"}


def test_what_ended_is_due_after_its_time_and_says_how_it_ended(ground: Ground) -> None:
    jobs.enrol(ground.store, ["a"], LONG_AGO)
    jobs.take(ground.store, "a", now(), by="one")
    assert jobs.settle(ground.store, "a", now(), by="one", again_in=timedelta(hours=1), result="3 done")
    assert jobs.due(ground.store, ["a"], now()) == []
    after = row(ground, "a")
    assert (after.holder, after.leased_until, after.last_result) == (None, None, "3 done")
    assert timedelta(minutes=59) < after.due_at - now() < timedelta(minutes=61)


def test_nothing_done_leaves_the_last_result_to_be_seen(ground: Ground) -> None:
    jobs.enrol(ground.store, ["a"], LONG_AGO)
    change(ground, "a", last_result="3 done")
    jobs.take(ground.store, "a", now(), by="one")
    jobs.settle(ground.store, "a", now(), by="one", again_in=timedelta(0), result="")
    assert row(ground, "a").last_result == "3 done"


def test_a_lease_by_a_clock_that_was_far_ahead_holds_nobody_up(ground: Ground) -> None:
    jobs.enrol(ground.store, ["a"], LONG_AGO)
    change(ground, "a", holder="x", leased_until=now() + 3 * LEASE)
    assert jobs.take(ground.store, "a", now(), by="one")


def test_what_is_given_back_is_due_still(ground: Ground) -> None:
    jobs.enrol(ground.store, ["a", "b"], LONG_AGO)
    jobs.take(ground.store, "a", now(), by="one")
    jobs.take(ground.store, "b", now(), by="two")
    jobs.give_back(ground.store, by="one")
    assert jobs.due(ground.store, ["a", "b"], now()) == ["a"]
    jobs.release_others(ground.store, "another")
    assert sorted(jobs.due(ground.store, ["a", "b"], now())) == ["a", "b"]


# --- the runner ---


@dataclass
class _Line:
    store: Any
    store_pool: Offload


@dataclass
class _Job:
    """Does what it is told, and counts."""

    name: str
    every: float = 3600.0
    fails: Exception | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    async def run(self, _bench: Bench, turn: Turn) -> str:
        self.runs.append(dict(turn.state))
        self.begun.set()
        await turn.keep({"run": len(self.runs)})
        await self.go_on.wait()
        if self.fails:
            raise self.fails
        return f"run {len(self.runs)}"


def runner(ground: Ground, pool: Offload, *some: _Job) -> JobRunner:
    bench = Bench(cast("Any", _Line(ground.store, pool)), cast("Any", None), cast("Any", None))
    return JobRunner(bench, {job.name: job for job in some})


@dataclass
class _Running:
    """A runner at work within a block."""

    runner: JobRunner

    async def __aenter__(self) -> JobRunner:
        self.task = asyncio.create_task(self.runner.run())
        return self.runner

    async def __aexit__(self, *_exc: object) -> None:
        await self.runner.stop()
        async with asyncio.timeout(60):
            await self.task


async def test_what_is_due_runs_and_is_recorded(ground: Ground, pool: Offload) -> None:
    job = _Job("a")
    async with _Running(runner(ground, pool, job)):
        await until(lambda: result(ground, "a") == "run 1")
    assert job.runs == [{}]
    assert jobs.due(ground.store, ["a"], now()) == []


async def test_two_nodes_run_it_once(ground: Ground, pool: Offload) -> None:
    here, there = _Job("a"), _Job("a")
    async with _Running(runner(ground, pool, here)), _Running(runner(ground, pool, there)):
        await until(lambda: result(ground, "a") == "run 1")
        await until(lambda: row(ground, "a").holder is None)
    assert len(here.runs) + len(there.runs) == 1


@pytest.mark.parametrize("fault", [ZeroDivisionError("a bug"), InvalidInput("what is wrong")])
async def test_a_job_that_fails_is_recorded_and_stops_no_other(ground: Ground, pool: Offload, fault: Exception) -> None:
    bad, good = _Job("bad", fails=fault), _Job("good")
    async with _Running(runner(ground, pool, bad, good)):
        await until(lambda: result(ground, "good") == "run 1" and result(ground, "bad") != "")
    said = row(ground, "bad").last_result
    assert said == (
        "failed: what is wrong" if isinstance(fault, InvalidInput) else "failed: ZeroDivisionError: see the log"
    )
    assert row(ground, "bad").due_at < now() + timedelta(minutes=6)


async def test_a_long_job_keeps_no_other_waiting(ground: Ground, pool: Offload) -> None:
    long, short = _Job("long"), _Job("short")
    long.go_on.clear()
    async with _Running(runner(ground, pool, long, short)):
        await long.begun.wait()
        await until(lambda: result(ground, "short") == "run 1")
        assert row(ground, "long").holder


async def test_a_stop_cuts_what_runs_and_the_next_one_goes_on_from_there(ground: Ground, pool: Offload) -> None:
    job = _Job("a")
    job.go_on.clear()
    async with _Running(runner(ground, pool, job)):
        await job.begun.wait()
        await until(lambda: row(ground, "a").state == {"run": 1})
    assert (row(ground, "a").holder, row(ground, "a").last_result) == (None, "")
    job.go_on.set()
    async with _Running(runner(ground, pool, job)):
        await until(lambda: result(ground, "a") == "run 2")
    assert job.runs == [{}, {"run": 1}]


async def test_who_has_lost_the_lease_keeps_nothing_and_records_nothing(ground: Ground, pool: Offload) -> None:
    jobs.enrol(ground.store, ["a"], LONG_AGO)
    jobs.take(ground.store, "a", now(), by="one")
    turn = Turn(now(), {}, "a", "one", ground.store, pool)
    await turn.keep({"n": 1})
    change(ground, "a", holder="two")
    with pytest.raises(LeaseLost):
        await turn.keep({"n": 2})
    assert row(ground, "a").state == {"n": 1}


async def test_a_runner_that_was_away_too_long_is_cut(
    ground: Ground, pool: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen for longer than its lease: another node has taken the job over meanwhile."""
    monkeypatch.setattr("gateway.jobs.runner.RENEW_SECONDS", 0.0)
    job = _Job("a")
    job.go_on.clear()
    async with _Running(runner(ground, pool, job)) as here:
        await job.begun.wait()
        change(ground, "a", holder="another node", leased_until=now() + LEASE)
        await until(lambda: not here._running)
        assert row(ground, "a").holder == "another node"
    assert row(ground, "a").holder == "another node"


@pytest.mark.parametrize("name", ["digest", "quarantine-retention"])
async def test_where_there_is_nothing_to_do_nothing_is_said(ground: Ground, pool: Offload, name: str) -> None:
    line = SimpleNamespace(store=ground.store, blobs=ground.blobs, store_pool=pool)
    bench = Bench(cast("Any", line), cast("Any", None), cast("Any", None))
    assert await all_jobs()[name].run(bench, Turn(now(), {}, name, "one", ground.store, pool)) == ""
