"""When a notification is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.outbox.schedule import GIVE_UP_AFTER, next_attempt

AT = datetime(2026, 5, 4, tzinfo=UTC)


def test_the_first_tries_come_early_and_the_later_ones_hourly() -> None:
    delays = [next_attempt(n, AT, AT) for n in range(1, 12)]
    minutes = [(d - AT).total_seconds() / 60 for d in delays if d]
    assert minutes[0] <= 1
    assert minutes == sorted(minutes)
    assert minutes[-1] == minutes[-2] == 60


def test_a_greylisted_row_is_tried_within_the_windows_greylists_have() -> None:
    at, tries = AT, []
    for n in range(1, 8):
        at = next_attempt(n, AT, at) or at
        tries.append(at - AT)
    assert any(timedelta(minutes=5) <= t <= timedelta(minutes=30) for t in tries)
    assert any(timedelta(hours=1) <= t <= timedelta(hours=4) for t in tries)


def test_it_is_given_up_after_at_least_four_days_and_not_later_than_five() -> None:
    at: datetime | None = AT
    last, n = AT, 0
    while at is not None:
        last, n = at, n + 1
        at = next_attempt(n, AT, at)
    assert timedelta(days=4) < last - AT <= GIVE_UP_AFTER == timedelta(days=5)


def test_a_row_that_was_held_for_days_still_gets_its_attempt_judged_by_age() -> None:
    late = AT + timedelta(days=6)
    assert next_attempt(1, AT, late) is None
