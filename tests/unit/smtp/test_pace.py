"""The deadlines of a session: idle, in all, and by the rate of content."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.outcome import Reason
from gateway.smtp import pace as module
from gateway.smtp.pace import Pace


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def ring(pace: Pace) -> None:
    """As the timer would."""
    pace._ring()


async def test_a_silent_client_is_idle_after_five_minutes(clock: Clock) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    clock.now += 299
    ring(pace)
    pace.heard()
    clock.now += 299
    ring(pace)
    assert rung == []
    clock.now += 1
    ring(pace)
    assert rung == [Reason.IDLE]
    pace.close()


async def test_a_session_that_is_never_idle_ends_after_half_an_hour(clock: Clock) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    for _ in range(31):
        clock.now += 60
        pace.heard()
        ring(pace)
    assert rung[:1] == [Reason.SESSION_TOO_LONG]
    pace.close()


async def test_content_slower_than_500_octets_a_second_is_too_slow_after_its_first_minute(clock: Clock) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    pace.begin_content()
    for _ in range(59):
        clock.now += 1
        pace.heard_content(10)
        ring(pace)
    assert rung == []
    clock.now += 3
    ring(pace)
    assert rung == [Reason.TOO_SLOW]
    pace.close()


async def test_content_that_keeps_the_rate_may_take_long_and_credit_does_not_bear_silence(clock: Clock) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    pace.begin_content()
    for _ in range(1200):
        clock.now += 1
        pace.heard_content(501)
        ring(pace)
    assert rung == []
    pace.heard_content(25_000_000)
    clock.now += 300
    ring(pace)
    assert rung == [Reason.IDLE]
    pace.close()


async def test_while_we_work_no_deadline_holds_and_then_all_the_time_is_there_again(clock: Clock) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    pace.hold()
    clock.now += 1000
    ring(pace)
    assert rung == []
    pace.go_on()
    clock.now += 299
    ring(pace)
    assert rung == []
    pace.close()


async def test_what_ends_after_the_connection_sets_no_deadline() -> None:
    bell: list[Reason] = []
    pace = Pace(bell.append)
    with pace.held():
        pace.close()
    assert pace._timer is None


async def test_the_timer_rings_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    rung = asyncio.Event()
    pace = Pace(lambda _reason: rung.set())
    await asyncio.wait_for(rung.wait(), 60)
    pace.close()


async def test_who_is_silent_while_we_stop_is_let_go_after_five_seconds(clock: Clock) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    clock.now += 200
    pace.begin_content()
    pace.hurry()
    for _ in range(3):
        clock.now += 4.9
        ring(pace)
        pace.heard_content(4000)
    assert rung == [], "who goes on with his message is waited for"
    clock.now += 5
    ring(pace)
    assert rung == [Reason.SHUTTING_DOWN]
    pace.close()


@pytest.mark.parametrize("begun_before", [True, False])
async def test_who_let_an_octet_drip_now_and_then_held_up_a_reload_for_its_whole_grace(
    clock: Clock, begun_before: bool
) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    if begun_before:
        pace.begin_content()
        pace.heard_content(1_000_000)
        clock.now += 10
        pace.hurry()
    else:
        pace.hurry()
        pace.begin_content()
    for octets in (1500, 1, 1, 1):  # three seconds' worth, beside the five
        clock.now += 1.9
        pace.heard_content(octets)
        ring(pace)
    assert rung == []
    clock.now += 1.9
    ring(pace)
    assert rung == [Reason.SHUTTING_DOWN]
    pace.close()


@pytest.mark.parametrize("chunks", [False, True])
async def test_who_said_noop_or_sent_chunks_of_one_octet_held_up_a_reload_for_its_whole_grace(
    clock: Clock, chunks: bool
) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    pace.hurry()
    for _ in range(3):
        clock.now += 1.6
        pace.heard()
        if chunks:
            pace.begin_content()
            pace.heard_content(1)
            pace.end_content()
        ring(pace)
    assert rung == []
    clock.now += 1.6
    ring(pace)
    assert rung == [Reason.SHUTTING_DOWN]
    pace.close()


async def test_a_stop_rings_for_nobody_whose_message_we_work_on(clock: Clock) -> None:
    rung: list[Reason] = []
    pace = Pace(rung.append)
    pace.hold()
    pace.hurry()
    clock.now += 60
    ring(pace)
    assert rung == []
    pace.go_on()
    ring(pace)
    assert rung == []
    pace.close()


async def test_a_session_that_is_closed_is_not_hurried(clock: Clock) -> None:
    pace = Pace(lambda _reason: None)
    pace.close()
    pace.hurry()
    assert pace._timer is None
