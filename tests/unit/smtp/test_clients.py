"""What one client may do, by a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.smtp.client_table import ClientTable
from gateway.smtp.clients import BAD_RECIPIENTS_KEPT, Clients, Rate, network_of

HERE, THERE = "192.0.2.1", "198.51.100.1"
SECOND = 1_000_000_000


class Clock:
    """Nanoseconds, as of a machine that has been up for eleven days."""

    def __init__(self) -> None:
        self.ns = 1_000_000 * SECOND + 123_456_789

    def __call__(self) -> int:
        return self.ns

    def goes_on(self, seconds: float) -> None:
        self.ns += round(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> ClientTable:
    return ClientTable.alone()


def clients(table: ClientTable, clock: Clock, **limits: Any) -> Clients:
    return Clients(table, **{"max_connections": 500, "max_connections_per_client": 50, "clock": clock} | limits)


# --- who is one client ---


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.2", "192.0.2.2"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_client_is_one_ipv4_address_or_one_ipv6_64(ip: str, network: str) -> None:
    assert network_of(ip) == network


def test_what_is_no_address_is_no_client() -> None:
    with pytest.raises(ValueError, match="mail"):
        network_of("mail.example")


# --- connections ---


def test_a_client_may_have_so_many_connections_and_others_are_still_served(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, max_connections_per_client=3)
    assert [limits.enter(HERE) for _ in range(5)] == [True] * 3 + [False] * 2
    assert not limits.enter(f"::ffff:{HERE}")
    assert limits.enter(THERE)
    limits.leave(HERE)
    assert limits.enter(HERE)
    assert not limits.enter(HERE)


def test_all_addresses_of_a_64_are_one_client(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, max_connections_per_client=2)
    assert [limits.enter(f"2001:db8::{n}") for n in range(1, 4)] == [True, True, False]
    limits.leave("2001:db8::2")
    assert limits.enter("2001:db8::99")
    assert limits.enter("2001:db8:0:1::1")


def test_there_may_be_so_many_connections_in_all(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, max_connections=3)
    assert [limits.enter(f"192.0.2.{n}") for n in range(5)] == [True] * 3 + [False] * 2
    limits.leave("192.0.2.0")
    assert limits.enter(THERE)
    assert not limits.enter(THERE)


def test_what_was_refused_does_not_count(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, max_connections=2, max_connections_per_client=1)
    assert limits.enter(HERE)
    assert not limits.enter(HERE)
    assert limits.enter(THERE)
    assert not limits.enter("203.0.113.1")
    assert table.all_open_connections() == 2


def test_leaving_more_often_than_entering_gives_nobody_more_room(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, max_connections=1)
    for _ in range(3):
        limits.leave(HERE)
    assert limits.enter(HERE)
    assert not limits.enter(THERE)


# --- rates ---


@pytest.mark.parametrize(
    ("text", "each_seconds"), [("1/s", 1), ("600/m", 0.1), ("100/h", 36), ("10/d", 8640), ("7/s", 1 / 7)]
)
def test_a_rate_gives_its_amount_at_once_and_then_evenly(clock: Clock, text: str, each_seconds: float) -> None:
    rate = Rate.parse(text)
    assert rate
    cell = [0]
    assert all(rate.takes(cell, 0, clock()) for _ in range(rate.amount))
    assert not rate.takes(cell, 0, clock())
    for _ in range(3):
        clock.goes_on(each_seconds * 0.9)
        assert not rate.takes(cell, 0, clock())
        clock.goes_on(each_seconds * 0.11)
        assert rate.takes(cell, 0, clock())
        assert not rate.takes(cell, 0, clock())


def test_after_its_time_the_whole_amount_is_there_again_and_no_more(clock: Clock) -> None:
    rate = Rate.parse("600/m")
    assert rate
    cell = [0]
    for idle in (0, 60, 3600):
        clock.goes_on(idle)
        assert sum(rate.takes(cell, 0, clock()) for _ in range(700)) == 600


def test_a_rate_beyond_the_clock_limits_nothing(clock: Clock) -> None:
    rate = Rate.parse("9999999999999/s")
    assert rate
    cell = [0]
    assert all(rate.takes(cell, 0, clock()) for _ in range(1000))


def test_a_slower_rate_of_before_is_forgotten_after_the_time_of_the_new_one(table: ClientTable, clock: Clock) -> None:
    slow = clients(table, clock, rate_per_client="2/d")
    assert [slow.takes_from(HERE) for _ in range(3)] == [True, True, False]
    changed = clients(table, clock, rate_per_client="60/m")
    assert not changed.takes_from(HERE)
    clock.goes_on(1)
    assert changed.takes_from(HERE)
    clock.goes_on(60)
    assert sum(changed.takes_from(HERE) for _ in range(100)) == 60


def test_a_client_over_its_rate_waits_and_others_do_not(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, rate_per_client="2/m")
    assert [limits.takes_from(HERE) for _ in range(3)] == [True, True, False]
    assert [limits.takes_from("2001:db8::1"), limits.takes_from("2001:db8::2")] == [True, True]
    assert not limits.takes_from("2001:db8::3")
    clock.goes_on(30)
    assert [limits.takes_from(HERE) for _ in range(2)] == [True, False]


def test_known_forwarders_are_exempt_from_the_rate_of_a_client(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, rate_per_client="1/d")
    assert limits.takes_from(HERE)
    assert not limits.takes_from(HERE)
    limits.saw_forwarder(HERE)
    assert all(limits.takes_from(HERE) for _ in range(10))
    clock.goes_on(24 * 3600)
    assert [limits.takes_from(HERE) for _ in range(2)] == [True, False]


def test_an_account_has_a_rate_of_its_own(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock, rate_per_account="2/m", rate_per_client="1/d")
    assert limits.takes_from(HERE)
    assert [limits.takes_for("acme") for _ in range(3)] == [True, True, False]
    assert limits.takes_for("globex")
    limits.saw_forwarder(HERE)
    assert not limits.takes_for("acme")
    clock.goes_on(60)
    assert limits.takes_for("acme")


def test_without_rates_nothing_is_counted(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock)
    assert all(limits.takes_from(HERE) and limits.takes_for("acme") for _ in range(1000))
    assert table.known_network_row(HERE) is None


# --- unknown recipients ---


def test_unknown_recipients_are_counted_over_sessions_and_one_is_forgotten_each_half_minute(
    table: ClientTable, clock: Clock
) -> None:
    limits = clients(table, clock)
    assert limits.bad_recipients(HERE) == 0
    assert [limits.bad_recipient(HERE) for _ in range(3)] == [1, 2, 3]
    assert limits.bad_recipients(THERE) == 0
    clock.goes_on(29)
    assert limits.bad_recipients(HERE) == 3
    clock.goes_on(1)
    assert limits.bad_recipients(HERE) == 2
    assert limits.bad_recipient(HERE) == 3
    clock.goes_on(90)
    assert limits.bad_recipients(HERE) == 0
    assert limits.bad_recipient(HERE) == 1


def test_however_many_were_tried_half_an_hour_later_all_is_forgotten(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock)
    assert max(limits.bad_recipient(HERE) for _ in range(10_000)) == BAD_RECIPIENTS_KEPT
    clock.goes_on(1800)
    assert limits.bad_recipients(HERE) == 0


# --- forwarders ---


def test_a_forwarder_is_remembered_for_a_day_since_it_was_last_seen(table: ClientTable, clock: Clock) -> None:
    limits = clients(table, clock)
    assert not limits.is_forwarder(HERE)
    limits.saw_forwarder(HERE)
    clock.goes_on(20 * 3600)
    limits.saw_forwarder(HERE)
    clock.goes_on(24 * 3600 - 1)
    assert limits.is_forwarder(HERE)
    assert not limits.is_forwarder(THERE)
    clock.goes_on(1)
    assert not limits.is_forwarder(HERE)
