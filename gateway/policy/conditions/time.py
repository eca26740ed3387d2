"""`time: {days, hours, timezone, holidays}`: when the message was received, by the clock on somebody's wall."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, model_validator

from gateway.policy.condition import Test
from gateway.policy.cures import quote
from gateway.policy.patterns import PatternBook
from gateway.policy.reading import Reading
from gateway.policy.values import Model, Text, as_list, mistake, suggestion

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MEANT = {
    "mo": "mon", "montag": "mon", "lun": "mon", "di": "tue", "dienstag": "tue", "mar": "tue", "mi": "wed",
    "mittwoch": "wed", "mer": "wed", "do": "thu", "donnerstag": "thu", "jeu": "thu", "fr": "fri", "freitag": "fri",
    "ven": "fri", "samstag": "sat", "sam": "sat", "so": "sun", "sonntag": "sun", "dim": "sun",
    "m": "mon", "w": "wed", "f": "fri", "tues": "tue", "weds": "wed", "thur": "thu", "thurs": "thu",
}  # fmt: skip
"""What people write in English, German and French."""
_RANGE = re.compile(r"\s*-\s*|\s*–\s*")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?")
_DATE = re.compile(r"(?:(\d{4})-)?(\d{2})-(\d{2})")
_OTHER_DATE = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.(?:\s?(\d{4}))?")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of a day, the end not included; over midnight where it ends before it begins."""

    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.begin // 60:02}:{self.begin % 60:02}-{self.end // 60:02}:{self.end % 60:02}"


def _day(word: str) -> int:
    short = word.strip().lower()
    if short in DAYS:
        return DAYS.index(short)
    full = next((d for d in DAYS if short.startswith(d) and short.endswith("day")), "")
    meant = full or _MEANT.get(short, "") or next((d for d in DAYS if len(short) > 1 and d.startswith(short)), "")
    cure = f"write {meant}" if meant else "write mon, tue, wed, thu, fri, sat, sun, or mon-fri"
    raise mistake(f"{quote(word)} is no day: {cure}")


def _days(written: str) -> frozenset[int]:
    """One day, or a range that may go over Sunday."""
    first, *rest = _RANGE.split(written.strip())
    if len(rest) > 1 or written.strip().lower() in ("weekdays", "workdays"):
        raise mistake(f"{quote(written)} is no range of days: write mon-fri")
    begin = _day(first)
    length = (_day(rest[0]) - begin) % 7 if rest else 0
    return frozenset((begin + n) % 7 for n in range(length + 1))


def _span(written: str) -> Span:
    ends = _RANGE.split(written.strip())
    if len(ends) != 2 or not all(_CLOCK.fullmatch(e) for e in ends):
        raise mistake(f'{quote(written)} are no hours: write "09:00-17:00"')
    clocks = [_CLOCK.fullmatch(e) for e in ends]
    begin, end = (int(c[1]) * 60 + int(c[2] or 0) for c in clocks if c)
    for end_, minutes, clock in zip(ends, (begin, end), clocks, strict=True):
        if minutes > _DAY_MINUTES or (clock and int(clock[2] or 0) > 59):
            raise mistake(f"there is no {end_} o'clock: hours go from 00:00 to 24:00")
    if not all(c and c[2] for c in clocks):
        raise mistake(f'{quote(written)} are no hours: write "{Span(begin, end)}"')
    if begin in (end, _DAY_MINUTES):
        raise mistake(f"{quote(written)} is no time at all: for the whole day leave `hours` out")
    return Span(begin, end)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise mistake(f"there is no time zone {quote(value)}{_nearest(value)}") from None
    return value


def _nearest(value: str) -> str:
    """By its city too: `Berlin` is meant for Europe/Berlin."""
    zones = available_timezones()
    city = value.strip().replace(" ", "_").lower()
    named = sorted(z for z in zones if z.rpartition("/")[2].lower() == city and "/" in z)
    if named:
        return f": did you mean `{named[0]}`?"
    return suggestion(value, zones) or ": write a name such as Europe/Berlin or UTC"


@dataclass(frozen=True, slots=True)
class Holiday:
    """A date, of every year where `year` is None."""

    year: int | None
    month: int
    day: int

    def __str__(self) -> str:
        return (f"{self.year}-" if self.year else "") + f"{self.month:02}-{self.day:02}"

    def is_on(self, day: date) -> bool:
        return (self.month, self.day) == (day.month, day.day) and self.year in (None, day.year)


def _holiday(written: str) -> Holiday:
    other = _OTHER_DATE.fullmatch(written.strip())
    if other:
        meant = (f"{other[3]}-" if other[3] else "") + f"{int(other[2]):02}-{int(other[1]):02}"
        raise mistake(f"{quote(written)} is no date here: write {meant}")
    found = _DATE.fullmatch(written.strip())
    if not found:
        raise mistake(f"{quote(written)} is no date: write 2026-12-25, or 12-25 for every year")
    year, month, day = (int(x) if x else None for x in found.groups())
    assert month is not None and day is not None  # noqa: PT018  # both are in every match
    try:
        date(year or 2024, month, day)  # 2024 has a 29th of February
    except ValueError:
        raise mistake(
            f"there is no {written.strip()} in the calendar: write 2026-12-25, or 12-25 for every year"
        ) from None
    return Holiday(year, month, day)


def _readable(read: Callable[[str], object]) -> AfterValidator:
    """Text that `read` takes."""

    def check(value: str) -> str:
        read(value)
        return value

    return AfterValidator(check)


_Listed = BeforeValidator(as_list, json_schema_input_type=str | tuple[str, ...])
_Days = Annotated[Text, _readable(_days)]
_Hours = Annotated[Text, _readable(_span)]
_Holiday = Annotated[Text, _readable(_holiday)]


class TimeParams(Model):
    """Several keys mean all of them. A span over midnight belongs to the day on which it began."""

    days: Annotated[tuple[_Days, ...], _Listed] | None = None
    hours: Annotated[tuple[_Hours, ...], _Listed] | None = None
    timezone: Annotated[Text, AfterValidator(_zone)] | None = None
    holidays: Annotated[tuple[_Holiday, ...], _Listed] | None = None

    @model_validator(mode="after")
    def _something(self) -> TimeParams:
        if self.days is None and self.hours is None and self.holidays is None:
            raise mistake('say when: {days: mon-fri, hours: "09:00-17:00"}')
        return self


@dataclass(frozen=True, slots=True)
class When:
    """The parameters, read. Holidays are outside."""

    days: frozenset[int]
    spans: tuple[Span, ...]
    holidays: frozenset[Holiday]

    @classmethod
    def of(cls, written: TimeParams) -> When:
        days = frozenset().union(*map(_days, written.days)) if written.days else frozenset(range(7))
        spans = tuple(map(_span, written.hours)) if written.hours else (Span(0, _DAY_MINUTES),)
        return cls(days, spans, frozenset(map(_holiday, written.holidays or ())))

    def has(self, at: datetime) -> bool:
        """Whether a moment, in the zone that counts, lies within."""
        return any(self._has(span, at.date(), at.hour * 60 + at.minute) for span in self.spans)

    def _has(self, span: Span, today: date, minute: int) -> bool:
        if span.begin < span.end:
            return span.begin <= minute < span.end and self._is_on(today)
        if minute >= span.begin:
            return self._is_on(today)
        return minute < span.end and self._is_on(today - timedelta(days=1))

    def _is_on(self, day: date) -> bool:
        return day.weekday() in self.days and not any(h.is_on(day) for h in self.holidays)

    def __str__(self) -> str:
        pieces = [" ".join(DAYS[d] for d in sorted(self.days))] if len(self.days) < 7 else []
        pieces += [" or ".join(map(str, self.spans))] if self.spans != (Span(0, _DAY_MINUTES),) else []
        pieces += [f"not on {', '.join(sorted(map(str, self.holidays)))}"] if self.holidays else []
        return ", ".join(pieces) or "at any time"


@cache
def _loaded(name: str) -> ZoneInfo:
    """An account's zone was checked when it was set; where the system has lost it since, UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


class _Time:
    name = "time"
    Params = TimeParams

    def test(self, params: TimeParams, book: PatternBook) -> Test:
        del book  # no pattern to enter
        when = When.of(params)

        def here(reading: Reading) -> datetime:
            zone = _loaded(params.timezone or reading.facts.place.timezone)
            return reading.facts.envelope.received_at.astimezone(zone)

        def saw(reading: Reading) -> str:
            at = here(reading)
            return f"{DAYS[at.weekday()]} {at:%Y-%m-%d %H:%M %Z}"

        return Test(
            lambda reading: when.has(here(reading)),
            f"{when} ({params.timezone})" if params.timezone else str(when),
            saw,
        )


CONDITION: Any = _Time()
