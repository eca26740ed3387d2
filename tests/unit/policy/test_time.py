"""`time`: what lies within, over midnight, over summer time and over holidays; and what people write instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.conditions.time import TimeParams, When
from gateway.policy.explain import explain
from tests.unit.policy.shapes import facts, problems, rules

BERLIN = ZoneInfo("Europe/Berlin")


def test(when: str, at: datetime, **changes: object) -> tuple[bool, str]:
    """Whether the condition holds for mail of that moment, and what it saw."""
    policy = rules(f"rules: [{{name: r, if: {{time: {when}}}, then: [ignore]}}]")
    found = explain(facts(received_at=at.astimezone(UTC), **changes), policy)[0].conditions[0]
    return found.holds, found.saw


test.__test__ = False  # type: ignore[attr-defined]  # a word of the tests, no test


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


OFFICE = "{days: mon-fri, hours: '09:00-17:00', timezone: Europe/Berlin, holidays: [2026-05-14, 12-25]}"


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("2026-05-04T09:00", True),
        ("2026-05-04T08:59", False),
        ("2026-05-04T16:59", True),
        ("2026-05-04T17:00", False),
        ("2026-05-08T12:00", True),
        ("2026-05-09T12:00", False),  # Saturday
        ("2026-05-14T12:00", False),  # Ascension Day
        ("2025-12-25T12:00", False),
        ("2026-12-25T12:00", False),
        ("2027-05-14T12:00", True),
    ],
)
def test_office_hours(when: str, holds: bool) -> None:
    assert test(OFFICE, at(when))[0] is holds


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("2026-05-08T22:00", True),
        ("2026-05-09T05:59", True),  # Saturday morning, of Friday's night
        ("2026-05-09T06:00", False),
        ("2026-05-09T22:00", False),
        ("2026-05-08T05:00", False),  # Friday morning, of Thursday's night
    ],
)
def test_a_span_over_midnight_belongs_to_the_day_it_began_on(when: str, holds: bool) -> None:
    assert test("{days: fri, hours: '22:00-06:00', timezone: Europe/Berlin}", at(when))[0] is holds


def test_several_spans_and_days_over_sunday() -> None:
    when = "{days: [sat-mon, wed], hours: ['8:00-12:00', '13:00-24:00'], timezone: Europe/Berlin}"
    inside = ["2026-05-09T08:00", "2026-05-10T23:59", "2026-05-11T13:00", "2026-05-13T11:59"]
    outside = ["2026-05-09T12:30", "2026-05-12T09:00", "2026-05-13T00:00"]
    assert [test(when, at(x))[0] for x in inside + outside] == [True] * 4 + [False] * 3


def test_the_zone_is_the_accounts_unless_it_is_written() -> None:
    moment = datetime(2026, 5, 4, 7, 30, tzinfo=UTC)
    assert test("{hours: '09:00-17:00'}", moment, timezone="Europe/Berlin") == (True, "mon 2026-05-04 09:30 CEST")
    assert test("{hours: '09:00-17:00'}", moment, timezone="UTC") == (False, "mon 2026-05-04 07:30 UTC")
    assert test("{hours: '09:00-17:00', timezone: Asia/Tokyo}", moment, timezone="UTC")[1] == "mon 2026-05-04 16:30 JST"


def test_a_zone_that_the_system_has_lost_is_utc() -> None:
    assert test("{hours: '09:00-17:00'}", at("2026-05-04T12:00"), timezone="Mars/Olympus")[1].endswith("UTC")


def test_the_hour_that_is_skipped_and_the_one_that_comes_twice() -> None:
    when = "{hours: '02:00-03:00', timezone: Europe/Berlin}"
    skipped = [datetime(2026, 3, 29, 0, 30, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(3)]
    assert [test(when, x)[0] for x in skipped] == [False, False, False]  # 01:30, 03:00, 03:30
    twice = [datetime(2026, 10, 25, 0, 30, tzinfo=UTC) + timedelta(hours=n) for n in range(3)]
    assert [test(when, x)[0] for x in twice] == [True, True, False]  # 02:30, 02:30 again, 03:30


def test_holidays_alone_are_all_other_days() -> None:
    assert test("{holidays: 02-29}", at("2028-02-29T12:00"))[0] is False
    assert test("{holidays: 02-29}", at("2028-03-01T12:00"))[0] is True


def test_what_was_wanted_is_shown() -> None:
    policy = rules(f"rules: [{{name: r, if: {{time: {OFFICE}}}, then: [ignore]}}]")
    wanted = explain(facts(), policy)[0].conditions[0].expected
    assert wanted == "mon tue wed thu fri, 09:00-17:00, not on 12-25, 2026-05-14 (Europe/Berlin)"


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(1, 1439))
def test_a_span_and_its_complement_share_the_day(minute: int, begin: int, length: int) -> None:
    def clock(minutes: int) -> str:
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}"

    moment = datetime(2026, 5, 4, minute // 60, minute % 60, tzinfo=UTC)
    one, other = f"{clock(begin)}-{clock(begin + length)}", f"{clock(begin + length)}-{clock(begin)}"
    within = [When.of(TimeParams(hours=(hours,))).has(moment) for hours in (one, other)]
    assert sorted(within) == [False, True]


MISTAKES = {
    "{hours: 9-17}": '"9-17" are no hours: write "09:00-17:00"',
    "{hours: '9:00-25:00'}": "there is no 25:00 o'clock: hours go from 00:00 to 24:00",
    "{hours: '09:60-10:00'}": "there is no 09:60 o'clock: hours go from 00:00 to 24:00",
    "{hours: 900-1700}": '"900-1700" are no hours: write "09:00-17:00"',
    "{hours: '8:00-8:00'}": '"8:00-8:00" is no time at all: for the whole day leave `hours` out',
    "{days: Mo}": '"Mo" is no day: write mon',
    "{days: [mon, Friday]}": '"Friday" is no day: write fri',
    "{days: Mi}": '"Mi" is no day: write wed',
    "{days: funday}": '"funday" is no day: write mon, tue, wed, thu, fri, sat, sun, or mon-fri',
    "{days: weekdays}": '"weekdays" is no range of days: write mon-fri',
    "{days: mon, timezone: Berlin}": 'there is no time zone "Berlin": did you mean `Europe/Berlin`?',
    "{days: mon, timezone: Europe/Berln}": 'there is no time zone "Europe/Berln": did you mean `Europe/Berlin`?',
    "{days: mon, timezone: ../../etc/passwd}": 'there is no time zone "../../etc/passwd": write a name such as Europe/Berlin or UTC',
    "{holidays: 25.12.}": '"25.12." is no date here: write 12-25',
    "{holidays: 2026-02-30}": "there is no 2026-02-30 in the calendar: write 2026-12-25, or 12-25 for every year",
    "{holidays: Christmas}": '"Christmas" is no date: write 2026-12-25, or 12-25 for every year',
    "{timezone: UTC}": 'say when: {days: mon-fri, hours: "09:00-17:00"}',
}


@pytest.mark.parametrize("when", MISTAKES)
def test_a_mistake_is_told_with_its_cure(when: str) -> None:
    assert problems(f"rules: [{{if: {{time: {when}}}, then: [ignore]}}]").endswith(": " + MISTAKES[when])
