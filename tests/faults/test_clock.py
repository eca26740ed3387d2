"""The wall clock jumps by a day, forward or back: nothing expires, nothing is sent twice, nothing waits for a day."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.relay import HANG, TAKE, Relay
from tests.servers.gateway import RunningGateway, mail, wait_until

DAY = 86_400
CLOCK = Path(__file__).parent / "clock"

Jump = Callable[[float], None]


@pytest.fixture
def jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Sets the clock of the gateway's processes, running or to come, to so many seconds from ours."""
    file = tmp_path / "clock-offset"
    monkeypatch.setenv("CLOCK_OFFSET", str(file))
    monkeypatch.setenv("PYTHONPATH", str(CLOCK))

    def to(seconds: float) -> None:
        new = file.with_suffix(".new")
        new.write_text(str(seconds))
        os.replace(new, file)  # noqa: PTH105 - the pair of a write that no reader sees half

    to(0)
    return to


@pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])
def test_what_is_under_way_while_the_clock_jumps_is_sent_once(
    gateway: RunningGateway, relay: Relay, jump: Jump, days: int
) -> None:
    """The lease of an attempt looks run out, or good for a day; whoever holds the row still holds it."""
    gateway.add_agent("acme", "agent@acme.test")
    relay.answer = lambda recipient: HANG if recipient == "agent@acme.test" else TAKE
    gateway.start()
    assert gateway.send(mail("before")).code == 250
    wait_until(lambda: relay.to("agent@acme.test"), "the attempt hangs")
    jump(days * DAY)
    # these are claimed, sent and settled by the new clock, which takes several rounds of the outbox
    for n in range(3):
        assert gateway.send(mail(n, author=f"c{n}@customer.test")).code == 250
        wait_until(lambda n=n: relay.to(f"c{n}@customer.test"), "mail goes out by the new clock")
    [first] = [r for r in gateway.outbox() if r["recipient"] == "agent@acme.test" and r["attempts"] == 0][-1:]
    by_row = [t.message_id for t in relay.to("agent@acme.test")]
    assert len(by_row) == len(set(by_row)), "one row is being sent twice at once"
    assert first["state"] == "pending"
    assert gateway.audit().problems == []


@pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])
def test_retries_go_on_after_a_jump_and_nothing_expires(
    gateway: RunningGateway, relay: Relay, jump: Jump, days: int
) -> None:
    relay.answer = lambda _recipient: "451 4.7.1 greylisted"
    gateway.start()
    for n in range(5):
        assert gateway.send(mail(n, author=f"c{n}@customer.test")).code == 250
    wait_until(lambda: len([r for r in gateway.outbox() if r["attempts"] == 1]) == 5, "each was tried once")
    jump(days * DAY)
    # due at once, once: by the new clock the next attempt is a minute away
    wait_until(
        lambda: len([r for r in gateway.outbox() if r["attempts"] == 2]) == 5, "each is tried again, not in a day"
    )
    assert gateway.send(mail("marker", author="marker@customer.test")).code == 250
    wait_until(lambda: relay.to("marker@customer.test"), "the outbox went on")
    rows = [r for r in gateway.outbox() if r["recipient"] != "marker@customer.test"]
    assert {(r["state"], r["attempts"]) for r in rows} == {("pending", 2)}
    relay.answer = lambda _recipient: TAKE
    jump(0)
    # where the next attempt is due tomorrow by the right clock, it does not wait for it
    wait_until(lambda: not gateway.outbox(state="pending"), "all delivered")
    assert len(relay.taken) == 6
    assert gateway.audit().problems == []


@pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])
def test_mail_over_a_jump_keeps_its_receipt_and_its_ticket(gateway: RunningGateway, jump: Jump, days: int) -> None:
    gateway.start()
    first = gateway.send(mail("before"))
    jump(days * DAY)
    assert gateway.send(mail("before")).trace == first.trace
    assert gateway.send(mail("after")).code == 250
    jump(0)
    assert gateway.send(mail("after")).code == 250
    assert gateway.send(mail("later")).code == 250
    assert sorted(t["number"] for t in gateway.tickets()) == [1, 2, 3]
    assert len(gateway.messages()) == 3
    assert gateway.audit().problems == []


def test_what_a_killed_worker_held_is_sent_soon_although_the_clock_went_back(
    gateway: RunningGateway, relay: Relay, jump: Jump
) -> None:
    """Its lease lasts a day and five minutes by the new clock."""
    gateway.add_agent("acme", "agent@acme.test")
    relay.answer = lambda _recipient: HANG
    gateway.start()
    assert gateway.send(mail("held")).code == 250
    wait_until(lambda: len(relay.seen) == 2, "both attempts hang")
    relay.answer = lambda _recipient: TAKE
    jump(-DAY)
    gateway.kill_worker()
    wait_until(lambda: not gateway.outbox(state="pending"), "sent by the next worker")
    assert gateway.audit().problems == []
