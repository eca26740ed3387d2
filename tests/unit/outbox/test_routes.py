"""Which relay a message goes to, with real relays on loopback that hang, refuse, leave and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from gateway import log
from gateway.core.notice import Delivery, DeliveryResult
from gateway.notify.courier import parse_relay
from gateway.notify.patience import Patience
from gateway.outbox import lane, routes
from gateway.outbox.circuit import Standing, Trouble
from gateway.outbox.routes import Journey, Letter, Routes
from tests.servers.inprocess import until
from tests.servers.odd_relay import HANG, OddRelay

DELIVERED, RETRY = DeliveryResult.DELIVERED, DeliveryResult.RETRY
CONTENT = b"From: a@acme.example\r\nSubject: x\r\n\r\nhello\r\n"
Odd = Callable[..., OddRelay]
Made = Callable[..., Routes]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the times, and pauses of a tenth: the relations stay, and who hangs is told from a machine that is busy."""
    monkeypatch.setattr(lane, "LATE_SECONDS", 1.0)
    monkeypatch.setattr(routes, "LATE_SECONDS", 1.0)
    monkeypatch.setattr(routes, "ELSEWHERE_SECONDS", 1.6)
    monkeypatch.setattr(routes, "LEAST_SECONDS", 0.2)
    monkeypatch.setattr("gateway.outbox.circuit.FIRST_PAUSE", 0.1)


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    """Routes over relays, looked after as the worker does."""
    ends: list[tuple[asyncio.Task[None], Routes]] = []

    def make(*relays: OddRelay, before: float = 5.0, after: float = 5.0) -> Routes:
        there = Routes([parse_relay(r.url) for r in relays], lambda: None, before, after)
        ends.append((asyncio.create_task(looked_after(there)), there))
        return there

    yield make
    for task, there in ends:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await there.close()


async def looked_after(there: Routes) -> None:
    while True:
        there.look()
        await asyncio.sleep(0.01)


async def begun(there: Routes, domain: str = "customer.test", local: str = "carol") -> Journey:
    letter = Letter("bounce@acme.gw.test", f"{local}@{domain}", domain, CONTENT)
    found: list[Journey] = []

    def has_begun() -> bool:
        journey = there.begin(letter)
        found.extend([journey] if journey else [])
        return bool(found)

    await until(has_begun)
    return found[0]


async def sent(there: Routes, local: str = "carol") -> tuple[Delivery, Journey, float]:
    """What became of one message, and how long it took from when it wanted to go."""
    began = asyncio.get_running_loop().time()
    journey = await begun(there, local=local)
    delivery = await there.send(journey)
    return delivery, journey, asyncio.get_running_loop().time() - began


def standings(there: Routes) -> list[Standing]:
    return [one.circuit.standing for one in there.lanes]


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data"])
async def test_mail_goes_on_to_the_next_relay_when_the_first_hangs_before_the_content(made: Made, stage: str) -> None:
    async with OddRelay({stage: HANG}) as first, OddRelay() as second:
        there = made(first, second)
        delivery, journey, took = await sent(there)
    assert (delivery.result, second.taken, first.taken) == (DELIVERED, ["carol@customer.test"], [])
    assert took < 2.0
    assert len(journey.passed_over) == 1
    assert first.url in journey.passed_over[0]


async def test_a_relay_that_hung_is_not_asked_again_by_the_mail_that_follows(made: Made) -> None:
    """Every message waited for the first relay anew: sixteen at a time, a minute each."""
    async with OddRelay({"connect": HANG}) as first, OddRelay() as second:
        there = made(first, second)
        await sent(there)
        times = [(await sent(there, f"c{n}"))[2] for n in range(50)]
    assert max(times) < 0.6
    assert len(second.taken) == 51


async def test_mail_beyond_the_slots_of_a_relay_that_hangs_waits_no_longer_than_the_first(made: Made) -> None:
    async with OddRelay({"connect": HANG}) as first, OddRelay() as second:
        there = made(first, second)
        results = await asyncio.gather(*(sent(there, f"c{n}") for n in range(60)))
    assert {d.result for d, _, _ in results} == {DELIVERED}
    assert len(second.taken) == len(set(second.taken)) == 60
    assert max(took for _, _, took in results) < 2.0


async def test_two_relays_that_hang_together_delay_no_more_than_the_budget(made: Made) -> None:
    async with OddRelay({"connect": HANG}) as first, OddRelay({"mail": HANG}) as second, OddRelay() as third:
        there = made(first, second, third)
        delivery, journey, took = await sent(there)
    assert (delivery.result, len(journey.passed_over)) == (DELIVERED, 2)
    assert took < 2.0


async def test_a_slow_relay_that_is_the_only_one_is_waited_for(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    async with OddRelay() as only:
        monkeypatch.setattr(only, "_say", slowly(only, 2.4))
        there = made(only)
        results = await asyncio.gather(*(sent(there, f"c{n}") for n in range(20)))
    assert {d.result for d, _, _ in results} == {DELIVERED}
    assert len(only.taken) == 20


async def test_a_slow_greeting_of_the_last_relay_is_waited_for_when_the_others_are_away(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OddRelay() as slow:
        monkeypatch.setattr(slow, "_say", slowly(slow, 2.4))
        gone = OddRelay()
        there = made(gone, slow)
        delivery, _, took = await sent(there)
    assert delivery.result is DELIVERED
    assert took > 2.4


def slowly(relay: OddRelay, seconds: float) -> Callable[..., object]:
    say = relay._say

    async def after_a_while(writer: asyncio.StreamWriter, verb: str, usual: bytes) -> bytes:
        if verb == "connect":
            await asyncio.sleep(seconds)
        return await say(writer, verb, usual)

    return after_a_while


async def test_what_waits_at_a_slow_relay_goes_to_a_better_one_as_soon_as_that_is_back(made: Made) -> None:
    """It would have waited there for its five minutes."""
    gone = OddRelay()
    async with OddRelay({"connect": HANG}) as slow:
        there = made(slow, gone, before=30.0)
        there.lanes[1].circuit.failed(Trouble.SILENT, asyncio.get_running_loop().time())
        journey = await begun(there)
        sending = asyncio.create_task(there.send(journey))
        await until(lambda: standings(there) == [Standing.AWAY, Standing.AWAY])
        await gone.start()
        assert (await sent(there, "second"))[0].result is DELIVERED
        async with asyncio.timeout(20):
            assert (await sending).result is DELIVERED
        assert set(gone.taken) == {"second@customer.test", "carol@customer.test"}
        await gone.stop()


async def test_the_only_message_there_is_goes_to_the_relay_that_is_back(made: Made) -> None:
    """It waited at another one, and nobody else was there to find out that this one takes mail again."""
    gone = OddRelay()
    async with OddRelay({"connect": HANG}) as slow:
        there = made(slow, gone, before=30.0)
        there.lanes[1].circuit.failed(Trouble.SILENT, asyncio.get_running_loop().time())
        sending = asyncio.create_task(there.send(await begun(there)))
        await until(lambda: standings(there) == [Standing.AWAY, Standing.AWAY])
        await gone.start()
        async with asyncio.timeout(20):
            assert (await sending).result is DELIVERED
        await gone.stop()
    assert gone.taken == ["carol@customer.test"]


async def test_mail_whose_dot_was_sent_waits_where_it_is_and_other_mail_does_not(made: Made) -> None:
    """Sent through another relay at once it would be there twice."""
    async with OddRelay({"dot": HANG}) as first, OddRelay() as second:
        there = made(first, second, after=6.0)
        waiting = asyncio.create_task(there.send(await begun(there)))
        await until(lambda: standings(there)[0] is Standing.AWAY)
        times = [(await sent(there, f"c{n}"))[2] for n in range(5)]
        delivery = await waiting
    assert (delivery.result, delivery.code, delivery.uncertain) == (RETRY, 0, True)
    assert not delivery.took_no_word
    assert len(first.contents) <= 4  # the first, and one each trial
    assert "carol@customer.test" not in second.taken
    assert max(times) < 2.0


async def test_those_that_wait_for_the_answer_to_their_dot_do_not_keep_others_from_a_relay_that_is_back(
    made: Made,
) -> None:
    """All slots of the only relay were theirs for ten minutes."""
    async with OddRelay({"dot": HANG}) as only:
        there = made(only, after=30.0)
        hung = [asyncio.create_task(there.send(await begun(there, f"d{n % 2}.test"))) for n in range(lane.SLOTS)]
        await until(lambda: standings(there) != [Standing.WELL])
        only.answers.clear()
        times = [(await sent(there, f"c{n}"))[2] for n in range(5)]
        assert max(times) < 4.0
        assert there.full_domains() == set()
        assert not any(task.done() for task in hung)
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)


async def test_a_relay_that_refuses_connections_costs_nobody_time(made: Made) -> None:
    gone = OddRelay()
    async with OddRelay() as second:
        there = made(gone, second)
        results = [await sent(there, f"c{n}") for n in range(5)]
    assert {d.result for d, _, _ in results} == {DELIVERED}
    assert max(took for _, _, took in results) < 0.6


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "dot"])
async def test_421_is_no_fault_of_the_message_and_the_next_relay_is_asked(made: Made, stage: str) -> None:
    async with OddRelay({stage: b"421 4.3.2 going down"}) as first, OddRelay() as second:
        there = made(first, second)
        delivery, _, _ = await sent(there)
    assert (delivery.result, second.taken) == (DELIVERED, ["carol@customer.test"])


async def test_421_in_the_middle_of_a_session_that_is_kept_is_answered_by_a_new_one(made: Made) -> None:
    async with OddRelay() as only:
        there = made(only)
        await sent(there)
        only.once["mail"] = b"421 4.4.2 too long"
        delivery, _, _ = await sent(there)
    assert delivery.result is DELIVERED
    assert only.connections == 2
    assert standings(there) == [Standing.WELL]


async def test_a_relay_that_closes_after_each_message_gets_them_all_once(made: Made) -> None:
    async with OddRelay(last=1) as only:
        there = made(only)
        results = [await sent(there, f"c{n}") for n in range(20)]
        results += await asyncio.gather(*(sent(there, f"d{n}") for n in range(40)))
    assert {d.result for d, _, _ in results} == {DELIVERED}
    assert len(only.taken) == len(set(only.taken)) == 60
    assert standings(there) == [Standing.WELL]


async def test_a_relay_that_has_too_many_of_our_connections_gets_fewer_and_is_not_left_alone(made: Made) -> None:
    """Relays that allow three at once are common: sixteen came again and again, and most were turned away."""
    async with OddRelay(most=3) as only:
        there = made(only)
        await sent(there)
        results = await asyncio.gather(*(sent(there, f"c{n}") for n in range(100)))
        put_off = [d for d, _, _ in results if d.result is RETRY]
        assert len(put_off) <= lane.SLOTS
        assert {d.code for d in put_off} <= {421}
        assert standings(there) == [Standing.WELL]
        assert there.room <= 3
        assert {d.result for d, _, _ in [await sent(there, f"d{n}") for n in range(10)]} == {DELIVERED}


async def test_when_all_were_away_mail_goes_out_as_soon_as_one_is_back(made: Made) -> None:
    one, two = OddRelay(), OddRelay()
    there = made(one, two)
    assert (await sent(there))[0].result is RETRY
    assert standings(there) == [Standing.AWAY, Standing.AWAY]
    assert there.room == 0
    await two.start()
    delivery, _, took = await sent(there)
    assert delivery.result is DELIVERED
    assert took < 2.0
    await two.stop()


async def test_after_a_knock_only_one_message_goes_until_it_is_answered(made: Made) -> None:
    async with OddRelay() as only:
        there = made(only)
        there.lanes[0].circuit.failed(Trouble.SILENT, asyncio.get_running_loop().time())
        await until(lambda: standings(there) == [Standing.ON_TRIAL])
        assert only.taken == []
        letter = Letter(None, "carol@customer.test", "customer.test", CONTENT)
        trial = there.begin(letter)
        assert trial
        assert there.begin(letter) is None
        assert (await there.send(trial)).result is DELIVERED
        assert there.room == lane.SLOTS
    assert only.connections == 1  # the knock's


async def test_a_login_that_fails_leaves_the_relay_alone_longer_than_one_that_is_silent(made: Made) -> None:
    async with OddRelay({"connect": b"554 5.7.1 we do not know you"}) as first, OddRelay() as second:
        there = made(first, second)
        delivery, journey, _ = await sent(there)
    assert delivery.result is DELIVERED
    assert "554 5.7.1 we do not know you" in journey.passed_over[0]


async def test_one_domain_gets_three_quarters_of_the_slots(made: Made) -> None:
    """Sixteen to one domain whose callouts hang kept everybody else's mail waiting."""
    async with OddRelay({"rcpt": HANG}) as only:
        there = made(only)
        slow = [there.begin(Letter(None, f"a{n}@slow.test", "slow.test", CONTENT)) for n in range(lane.SLOTS)]
        assert len([s for s in slow if s]) == lane.SLOTS * 3 // 4
        assert there.full_domains() == {"slow.test"}
        assert there.begin(Letter(None, "carol@customer.test", "customer.test", CONTENT))


async def test_mail_that_was_passed_over_goes_before_mail_that_begins(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flow of new mail took every slot that became free, and what came from the dead relay starved."""
    monkeypatch.setattr(lane, "SLOTS", 1)
    gone = OddRelay()
    async with OddRelay() as second:
        there = made(gone, second)
        busy = there.lanes[1].enter("customer.test", Patience(1, 1))
        passed_over = asyncio.create_task(there.send(await begun(there)))
        await until(lambda: there._waiting == 1)
        there.lanes[1].leave(busy)
        assert there.begin(Letter(None, "new@customer.test", "customer.test", CONTENT)) is None
        assert (await passed_over).result is DELIVERED


async def test_the_log_names_a_relay_that_is_left_alone_and_that_is_back(made: Made) -> None:
    gone = OddRelay()
    log.set_up("console")
    with capture_logs() as lines:
        there = made(gone)
        await sent(there)
        await gone.start()
        assert (await sent(there))[0].result is DELIVERED
        await gone.stop()
    told = [(line["event"], line["relay"]) for line in lines if "relay" in line]
    assert told == [("relay left alone", gone.url), ("relay answers again", gone.url)]
