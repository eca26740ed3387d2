"""The outbox worker with relays that do what a test says."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from gateway.core.clock import new_id
from gateway.core.errors import StoreUnavailable
from gateway.core.notice import Delivery, DeliveryResult
from gateway.ground import Ground, open_ground
from gateway.notify.courier import Relay, parse_relay
from gateway.notify.folder import templates_folder
from gateway.notify.patience import Patience
from gateway.notify.render import Templates
from gateway.offload import Offload
from gateway.outbox import lane, record
from gateway.outbox import worker as worker_module
from gateway.outbox.circuit import Trouble
from gateway.outbox.worker import OutboxWorker
from gateway.store import outbox
from gateway.store.tables import Event, Outbox
from gateway.store.tables.columns import columns
from tests.servers.inprocess import fresh_ground, make_seed, numbered, running, settings_for, until
from tests.servers.odd_relay import HANG, OddRelay

_o = columns(Outbox)

DELIVERED = Delivery(DeliveryResult.DELIVERED, 250, "queued", "one")
GREYLISTED = Delivery(DeliveryResult.RETRY, 451, "greylisted", "one")
REFUSED = Delivery(DeliveryResult.FAILED, 550, "no such user", "one")
AWAY = Delivery(DeliveryResult.RETRY, 0, "connection refused", "one")
CUT = Delivery(DeliveryResult.RETRY, 0, "cut after the dot", "one", uncertain=True)


@dataclass
class ScriptedRelay:
    """Answers by `script`; keeps what it was given."""

    script: Callable[[str], Delivery | Exception] = lambda _recipient: DELIVERED
    name: str = "one"
    got: list[tuple[str, bytes]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def deliver(
        self, *, reverse_path: str | None, recipient: str, content: bytes, patience: Patience
    ) -> Delivery:
        self.got.append((recipient, content))
        if self.hold:
            await self.hold.wait()
        answer = self.script(recipient)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def knock(self, patience: Patience) -> Delivery | None:
        return None

    async def probe(self, *, timeout_seconds: float) -> str:
        return ""

    async def close(self) -> None: ...


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one ticket that owes three notifications: to Carol, to Ann and to Bob."""
    folder = make_seed(tmp_path_factory.mktemp("seed"))

    async def owe() -> None:
        async with running(open_ground(settings_for(folder))) as gateway, gateway.client() as client:
            assert (await client.mail(numbered(1))).code == 250

    asyncio.run(owe())
    return folder


@pytest.fixture
def ground(seed: Path, tmp_path: Path) -> Iterator[Ground]:
    ground = fresh_ground(seed, tmp_path / "data")
    yield ground
    ground.close()


@pytest.fixture
async def pools() -> AsyncIterator[tuple[Offload, Offload]]:
    made = Offload("store", 2), Offload("cpu", 1)
    yield made
    for pool in made:
        pool.close()


def worker_of(ground: Ground, pools: tuple[Offload, Offload], *relays: Relay) -> OutboxWorker:
    return OutboxWorker(
        store=ground.store, secret=ground.secret, tokens=ground.tokens, templates=Templates(templates_folder()),
        blobs=ground.blobs, relays=relays, gateway_domain="gw.test", store_pool=pools[0],
    )  # fmt: skip


def rows(ground: Ground) -> dict[str, Any]:
    with ground.store.read() as connection:
        return {r.recipient.partition("@")[0]: r for r in connection.execute(select(*_o))}


async def worked(worker: OutboxWorker, until: Callable[[], bool]) -> None:
    """Run until the condition holds, then stop in good order."""
    running_ = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        while not until():
            worker.wake()
            await asyncio.sleep(0.01)
        await worker.stop()
        await running_


def settled(ground: Ground) -> Callable[[], bool]:
    return lambda: all(r.attempts for r in rows(ground).values())


async def test_each_row_is_sent_once_and_its_reply_kept(ground: Ground, pools: tuple[Offload, Offload]) -> None:
    relay = ScriptedRelay()
    await worked(worker_of(ground, pools, relay), settled(ground))
    assert sorted(r for r, _ in relay.got) == ["ann@acme.test", "bob@acme.test", "carol@customer.test"]
    assert {(r.state, r.attempts, r.last_reply) for r in rows(ground).values()} == {("delivered", 1, "250 queued")}
    assert all(b"DKIM-Signature:" in content for _, content in relay.got)
    assert len({r.message_id_header for r in rows(ground).values()}) == 3


async def test_without_a_relay_the_outbox_holds(ground: Ground, pools: tuple[Offload, Offload]) -> None:
    worker = worker_of(ground, pools)
    running_ = asyncio.create_task(worker.run())
    for _ in range(5):
        worker.wake()
        await asyncio.sleep(0.01)
    await worker.stop()
    await running_
    assert {(r.state, r.leased_until) for r in rows(ground).values()} == {("pending", None)}


async def test_one_row_that_fails_or_breaks_our_code_stops_no_other(
    ground: Ground, pools: tuple[Offload, Offload]
) -> None:
    answers: dict[str, Delivery | Exception] = {
        "ann@acme.test": REFUSED,
        "bob@acme.test": ZeroDivisionError("bug"),
        "carol@customer.test": DELIVERED,
    }
    await worked(worker_of(ground, pools, ScriptedRelay(answers.__getitem__)), settled(ground))
    states = {name: (r.state, r.last_reply) for name, r in rows(ground).items()}
    assert states["carol"] == ("delivered", "250 queued")
    assert states["ann"] == ("failed", "550 no such user")
    assert states["bob"] == ("failed", "ZeroDivisionError: see the log")


async def test_a_row_whose_ticket_is_gone_fails_visibly(ground: Ground, pools: tuple[Offload, Offload]) -> None:
    with ground.store.write() as connection:
        connection.execute(update(Outbox).where(_o.recipient == "ann@acme.test").values(ticket_id="0" * 32))
    await worked(worker_of(ground, pools, ScriptedRelay()), settled(ground))
    assert rows(ground)["ann"].state == "failed"
    assert rows(ground)["ann"].last_reply.startswith("not sent: ")
    assert rows(ground)["bob"].state == "delivered"


async def test_a_greylisted_row_waits_and_sends_the_same_bytes_again(
    ground: Ground, pools: tuple[Offload, Offload]
) -> None:
    relay = ScriptedRelay(lambda _r: GREYLISTED)
    await worked(worker_of(ground, pools, relay), settled(ground))
    waiting = rows(ground)
    assert {(r.state, r.last_reply) for r in waiting.values()} == {("pending", "451 greylisted")}
    assert all(r.next_at > r.created_at for r in waiting.values())
    with ground.store.write() as connection:
        connection.execute(update(Outbox).values(next_at=waiting["ann"].created_at))
    relay.script = lambda _r: DELIVERED
    await worked(worker_of(ground, pools, relay), lambda: all(r.attempts == 2 for r in rows(ground).values()))
    unsigned = [(r, content.partition(b"\r\nFrom:")[2]) for r, content in relay.got]
    assert len(relay.got) == 6
    assert len(set(unsigned)) == 3


@pytest.mark.parametrize(
    ("first", "second_is_asked"),
    [(AWAY, True), (CUT, False), (GREYLISTED, False), (REFUSED, False), (DELIVERED, False)],
    ids=["away", "cut after the dot", "greylisted", "refused", "delivered"],
)
async def test_the_second_relay_is_asked_only_where_the_first_took_no_word_of_it(
    ground: Ground, pools: tuple[Offload, Offload], first: Delivery, second_is_asked: bool
) -> None:
    one, two = ScriptedRelay(lambda _r: first), ScriptedRelay(name="two")
    await worked(worker_of(ground, pools, one, two), settled(ground))
    assert len(one.got) == 3
    assert len(two.got) == (3 if second_is_asked else 0)


async def test_an_uncertain_end_is_in_the_trace(ground: Ground, pools: tuple[Offload, Offload]) -> None:
    await worked(worker_of(ground, pools, ScriptedRelay(lambda _r: CUT)), settled(ground))
    with ground.store.read() as connection:
        details = (
            connection.execute(select(columns(Event).detail).where(columns(Event).stage == "deliver")).scalars().all()
        )
    assert len(details) == 3
    assert all("uncertain" in d and "next_at" in d for d in details)


async def test_a_relay_that_hangs_holds_its_slots_and_no_more_than_those(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "SLOTS", 2)
    relay = ScriptedRelay(hold=asyncio.Event())
    worker = worker_of(ground, pools, relay)
    running_ = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        while len(relay.got) < 2:
            worker.wake()
            await asyncio.sleep(0.01)
        for _ in range(5):
            worker.wake()
            await asyncio.sleep(0.01)
        assert len(relay.got) == 2
        assert relay.hold
        relay.hold.set()
        while len(relay.got) < 3:
            worker.wake()
            await asyncio.sleep(0.01)
        await worker.stop()
        await running_
    assert {r.state for r in rows(ground).values()} == {"delivered"}


async def test_mail_that_is_out_is_not_sent_again_because_the_database_was_away_for_its_record(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row kept its lease, and after it the same mail went out a second time."""
    settle, failures = outbox.settle, ["first", "second"]

    def away_twice(*arguments: Any) -> None:
        if failures:
            raise StoreUnavailable(failures.pop())
        settle(*arguments)

    monkeypatch.setattr(outbox, "settle", away_twice)
    monkeypatch.setattr(record, "AGAIN_SECONDS", 0.01)
    relay = ScriptedRelay()
    await worked(worker_of(ground, pools, relay), settled(ground))
    assert {r.state for r in rows(ground).values()} == {"delivered"}
    assert len(relay.got) == 3


async def test_a_database_that_is_away_for_a_round_stops_nothing(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    due, failures = outbox.due, [StoreUnavailable("gone"), RuntimeError("bug")]

    def away_first(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return due(*arguments)

    monkeypatch.setattr(outbox, "due", away_first)
    await worked(worker_of(ground, pools, ScriptedRelay()), settled(ground))
    assert {r.state for r in rows(ground).values()} == {"delivered"}


async def test_a_relay_that_is_away_costs_the_rows_that_wait_no_attempts(
    ground: Ground, pools: tuple[Offload, Offload]
) -> None:
    """Each was tried and put off by itself, and stayed put off when the relay was back."""
    gone = OddRelay()
    worker = worker_of(ground, pools, parse_relay(gone.url))
    worker._routes.lanes[0].circuit.failed(Trouble.SILENT, asyncio.get_running_loop().time())
    running_ = asyncio.create_task(worker.run())
    await until(lambda: worker._routes.lanes[0].circuit._failures > 1)
    assert {(r.state, r.attempts, r.leased_until) for r in rows(ground).values()} == {("pending", 0, None)}
    await gone.start()
    await until(lambda: len(gone.taken) == 3)
    await worker.stop()
    await running_
    await gone.stop()
    assert {(r.state, r.attempts) for r in rows(ground).values()} == {("delivered", 1)}


async def test_an_admin_s_change_has_relays_looked_at_now(ground: Ground, pools: tuple[Offload, Offload]) -> None:
    """`outbox retry` after mending the relay is such a change: nobody should wait out its pause."""
    async with OddRelay() as odd:
        worker = worker_of(ground, pools, parse_relay(odd.url))
        circuit = worker._routes.lanes[0].circuit
        for n in range(12):
            circuit.failed(Trouble.REFUSED, asyncio.get_running_loop().time() + 1000 * n)
        running_ = asyncio.create_task(worker.run())
        worker.forget()
        await until(lambda: len(odd.taken) == 3)
        await worker.stop()
        await running_


async def test_relays_that_were_passed_over_are_in_the_trace(ground: Ground, pools: tuple[Offload, Offload]) -> None:
    one, two = ScriptedRelay(lambda _r: AWAY), ScriptedRelay(name="two")
    await worked(worker_of(ground, pools, one, two), settled(ground))
    with ground.store.read() as connection:
        query = select(columns(Event).detail).where(columns(Event).stage == "deliver")
        details = connection.execute(query).scalars().all()
    assert [d["passed_over"] for d in details] == [["one: connection refused"]] * 3


async def test_what_was_ready_and_not_tried_at_the_stop_is_free_at_once(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL, where leases are not freed at the start, it would have waited for five minutes."""
    monkeypatch.setattr(lane, "SLOTS", 1)
    monkeypatch.setattr(worker_module, "LAST_SECONDS", 0.1)
    relay = ScriptedRelay(hold=asyncio.Event())
    worker = worker_of(ground, pools, relay)
    running_ = asyncio.create_task(worker.run())
    await until(lambda: len(worker._ready) == 2 and len(relay.got) == 1)
    assert all(r.leased_until for r in rows(ground).values())
    await worker.stop()
    await running_
    assert [r.leased_until for r in rows(ground).values()] == [None] * 3
    assert sorted(r.attempts for r in rows(ground).values()) == [0, 0, 1]


async def test_a_stop_before_the_content_left_is_a_certain_end(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LAST_SECONDS", 0.1)
    for stage, uncertain in (("rcpt", False), ("dot", True)):
        async with OddRelay({stage: HANG}) as odd:
            worker = worker_of(ground, pools, parse_relay(odd.url))
            with ground.store.write() as connection:
                connection.execute(update(Outbox).values(next_at=rows(ground)["ann"].created_at))
            await worked(worker, functools.partial(_three_hang, odd, stage))
        with ground.store.read() as connection:
            query = select(columns(Event).detail).where(columns(Event).stage == "deliver").order_by(columns(Event).id)
            last = connection.execute(query).scalars().all()[-3:]
        assert {"uncertain" in d for d in last} == {uncertain}


def _three_hang(odd: OddRelay, stage: str) -> bool:
    return (len(odd.contents) if stage == "dot" else odd.seen.count(stage)) == 3


async def test_a_thousand_rows_cost_few_transactions(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One commit for the claim of each, one for its bytes, one for its record: forty-eight a second."""
    multiplied(ground, 300)
    begun: list[str] = []
    write = ground.store.write

    def counted() -> Any:
        begun.append("write")
        return write()

    monkeypatch.setattr(ground.store, "write", counted)
    relay = ScriptedRelay()
    await worked(worker_of(ground, pools, relay), lambda: len(relay.got) == 300)
    assert {r.state for r in every_row(ground)} == {"delivered"}
    assert len({r.message_id_header for r in every_row(ground)}) == 300
    assert len(begun) < 150


def multiplied(ground: Ground, count: int) -> None:
    """As many rows as that, of the same ticket."""
    with ground.store.write() as connection:
        row = connection.execute(select(*_o).where(_o.recipient == "ann@acme.test")).one()._asdict()
        connection.execute(delete(Outbox))
        made = [row | {"id": new_id(), "recipient": f"a{n}@acme.test"} for n in range(count)]
        connection.execute(insert(Outbox), made)


def every_row(ground: Ground) -> list[Any]:
    with ground.store.read() as connection:
        return list(connection.execute(select(*_o)))


async def test_a_bug_in_the_record_of_one_attempt_keeps_no_other_from_its_own(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = outbox.settle

    def picky(store: Any, settlements: Any, now: Any) -> None:
        if any(s.claim.recipient == "bob@acme.test" for s in settlements):
            raise RuntimeError("bug")
        settle(store, settlements, now)

    monkeypatch.setattr(outbox, "settle", picky)
    relay = ScriptedRelay()
    done = lambda: {"ann", "carol"} == {name for name, r in rows(ground).items() if r.attempts}  # noqa: E731
    await worked(worker_of(ground, pools, relay), done)
    assert len(relay.got) == 3


async def test_leases_of_what_is_still_at_work_are_renewed(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer to the final dot may take twice as long as a lease holds: another node would send the same."""
    relay = ScriptedRelay(hold=asyncio.Event())
    worker = worker_of(ground, pools, relay)
    running_ = asyncio.create_task(worker.run())
    await until(lambda: len(relay.got) == 3)
    before = {r.leased_until for r in rows(ground).values()}
    worker._renewed_at -= 120
    worker.wake()
    await until(lambda: not before & {r.leased_until for r in rows(ground).values()})
    assert relay.hold
    relay.hold.set()
    await worker.stop()
    await running_


async def test_a_domain_that_uses_up_its_slots_does_not_stop_the_claims_for_others(
    ground: Ground, pools: tuple[Offload, Offload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LAST_SECONDS", 0.1)
    multiplied(ground, 60)
    with ground.store.write() as connection:
        last = connection.execute(select(_o.id).order_by(_o.id.desc()).limit(1)).scalar_one()
        other = {"recipient": "carol@customer.test", "recipient_key": "carol@customer.test"}
        connection.execute(update(Outbox).where(_o.id == last).values(**other))
    async with OddRelay() as odd:
        odd.hangs_for = "acme.test"
        worker = worker_of(ground, pools, parse_relay(odd.url))
        await worked(worker, lambda: odd.taken == ["carol@customer.test"])
