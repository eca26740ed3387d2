"""The Date field (RFC 5322 section 3.3 and 4.3) as an aware UTC time, or nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_MONTH_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec"
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES.split(), 1)}
_TIME = r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?"
_RFC5322 = re.compile(
    rf"(?:[^\W\d]{{2,12}}\.?,?\s*)?(\d{{1,2}})[\s-]+([A-Za-z]{{3,9}})\.?,?[\s-]+(\d{{2,4}}),?\s+{_TIME}"
)
_ASCTIME = re.compile(
    rf"(?:[A-Za-z]{{3,9}},?\s+)?([A-Za-z]{{3,9}})\s+(\d{{1,2}}),?\s+{_TIME}\s+(?:([A-Z]{{3,4}})\s+)?(\d{{4}})"
)
_ZONE = re.compile(r"\s*(?:(?:GMT|UTC)?([+-])(\d{2}):?(\d{2})|([A-Za-z]{1,5}))")
_NAMED_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}


def read_date(text: str) -> datetime | None:
    """The moment a Date field names, in UTC. None when it names none that Python can hold."""
    text = text.strip()[:200]
    match = _RFC5322.match(text)
    if match:
        day, month, year, hour, minute, second = match.groups()
    else:
        match = _ASCTIME.match(text)
        if not match:
            return None
        month, day, hour, minute, second, _, year = match.groups()
    zone = _ZONE.match(text, match.end())
    try:
        local = datetime(
            _full_year(year),
            _MONTHS[month[:3].lower()],
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),  # 60 is a leap second, which datetime lacks
            tzinfo=UTC,
        )
        return local - _offset(zone)
    except (KeyError, ValueError, OverflowError):
        return None


def _full_year(digits: str) -> int:
    """Two and three digits by section 4.3."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year


def _offset(zone: re.Match[str] | None) -> timedelta:
    """What is unknown counts as UTC, as section 4.3 asks. Raises ValueError for an offset no place has."""
    if not zone:
        return timedelta()
    if not zone[1]:
        return timedelta(hours=_NAMED_HOURS.get(zone[4].upper(), 0))
    hours, minutes = int(zone[2]), int(zone[3])
    if hours > 23 or minutes > 59:
        raise ValueError("no such zone")
    ahead = timedelta(hours=hours, minutes=minutes)
    return ahead if zone[1] == "+" else -ahead
