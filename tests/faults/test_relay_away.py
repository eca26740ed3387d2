"""Two relays, the first of which hangs, says nothing, leaves or is away: the other one's mail is not late, and none is doubled.

With the times of production: what must not be late is not later than ten seconds.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.outbox.lane import LATE_SECONDS
from tests.faults.relay import HANG, TAKE, Relay
from tests.servers.gateway import RunningGateway, mail, wait_until
from tests.servers.odd_relay import HANG as HANG_THERE
from tests.servers.odd_relay import OddRelay

LATE = 10.0


@contextmanager
def odd_relay(**how: Any) -> Iterator[OddRelay]:
    """In a thread of its own, until the block ends."""
    odd, loop = OddRelay(**how), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(odd.start(), loop).result(60)
    try:
        yield odd
    finally:
        asyncio.run_coroutine_threadsafe(odd.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def silent() -> Iterator[OddRelay]:
    """The kernel takes connections; nobody ever says a word."""
    odd = OddRelay()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", odd.port))
        listening.listen(500)
        yield odd


@contextmanager
def refusing() -> Iterator[OddRelay]:
    yield OddRelay()


@pytest.fixture
def over(tmp_path: Path) -> Iterator[Callable[..., RunningGateway]]:
    """A gateway over these relays, in this order; started."""
    made: list[RunningGateway] = []

    def start(*urls: str, **tune: float) -> RunningGateway:
        made.append(RunningGateway(tmp_path, settings={"relay": {"url": list(urls)}}))
        made[-1].start(tune=tune)
        return made[-1]

    yield start
    for gateway in made:
        gateway.close()


def send(gateway: RunningGateway, first: int, count: int) -> None:
    for n in range(first, first + count):
        gateway.send(mail(n, author=f"customer{n}@customer.test"))


def delivered(gateway: RunningGateway, count: int, seconds: float = 20.0) -> list[float]:
    """How long each waited, oldest first, once so many are delivered."""
    found = wait_until(
        lambda: rows if len(rows := gateway.outbox(state="delivered")) == count else [], f"{count} delivered", seconds
    )
    rows = sorted(found, key=lambda row: str(row["created_at"]))
    return [
        (datetime.fromisoformat(r["settled_at"]) - datetime.fromisoformat(r["created_at"])).total_seconds()
        for r in rows
    ]


@contextmanager
def hanging_at_mail() -> Iterator[OddRelay]:
    with odd_relay(answers={"mail": HANG_THERE}) as odd:
        yield odd


@pytest.mark.parametrize("first", [silent, refusing, hanging_at_mail])
def test_a_first_relay_that_hangs_or_is_away_delays_nobody_for_long(
    over: Callable[..., RunningGateway], relay: Relay, first: Callable[[], Any]
) -> None:
    """Each message waited a minute for the first one, sixteen at a time: twenty took two minutes."""
    with first() as dead:
        gateway = over(dead.url, relay.url)
        send(gateway, 0, 20)
        waited = delivered(gateway, 20)
        send(gateway, 20, 20)
        later = delivered(gateway, 40)[20:]
    assert max(waited) < LATE
    # one of them may have been a trial; whoever waits for the first relay waits five seconds
    assert sorted(later)[-2] < LATE_SECONDS
    assert len({t.message_id for t in relay.taken}) == len(relay.taken) == 40


def test_a_first_relay_that_hangs_after_the_dot_keeps_its_own_and_delays_no_other(
    over: Callable[..., RunningGateway], relay: Relay
) -> None:
    relay.answer = lambda _recipient: HANG
    with Relay() as second:
        gateway = over(relay.url, second.url, attempt_seconds=12.0)
        send(gateway, 0, 3)
        wait_until(lambda: len(relay.seen) == 3, "three hang")
        wait_until(lambda: "relay left alone" in gateway.log.read_text(), "it is noticed")
        send(gateway, 3, 10)
        wait_until(lambda: len(second.taken) >= 9, "the others go by the second", LATE)
        hung = wait_until(lambda: [o for o in gateway.outbox(state="pending") if o["attempts"]], "the first give up")
        events = [e for o in hung for e in gateway.trace(o["trace"])["events"] if e["stage"] == "deliver"]
        assert all("uncertain" in e["detail"] for e in events)
        assert not {t.message_id for t in relay.seen} & {t.message_id for t in second.seen}
        relay.answer = lambda _recipient: TAKE


def test_a_relay_that_closes_after_each_message_gets_all_of_them_once(over: Callable[..., RunningGateway]) -> None:
    with odd_relay(last=1) as odd:
        gateway = over(odd.url)
        send(gateway, 0, 30)
        assert max(delivered(gateway, 30)) < LATE
        assert {o["attempts"] for o in gateway.outbox()} == {1}
        assert len(odd.taken) == len(set(odd.taken)) == 30


def test_421_in_the_middle_sends_mail_to_the_other_relay_and_counts_against_none(
    over: Callable[..., RunningGateway], relay: Relay
) -> None:
    with odd_relay() as odd:
        gateway = over(odd.url, relay.url)
        send(gateway, 0, 3)
        delivered(gateway, 3)
        odd.answers["rcpt"] = b"421 4.3.2 going down"
        send(gateway, 3, 5)
        assert max(delivered(gateway, 8)) < LATE
    assert {o["attempts"] for o in gateway.outbox()} == {1}
    assert len(odd.taken) + len(relay.taken) == 8


def test_when_all_relays_were_away_mail_goes_within_seconds_of_the_first_that_is_back(
    over: Callable[..., RunningGateway], relay: Relay
) -> None:
    """Each row waited out its own schedule: an hour, in the end."""
    relay.stop()
    with silent() as dead, refusing() as gone:
        gateway = over(gone.url, dead.url, relay.url)
        send(gateway, 0, 30)
        wait_until(lambda: gateway.log.read_text().count("relay left alone") == 3, "all are known to be away")
        relay.start()
        back = time.monotonic()
        delivered(gateway, 30, 30)
        assert time.monotonic() - back < 1.5 * LATE
    assert len({t.message_id for t in relay.taken}) == len(relay.taken) == 30
    assert gateway.audit().problems == []
