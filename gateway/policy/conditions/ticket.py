"""`ticket`: what the ticket is like that the mail belongs to (`state`, `team`, `tag`, `closed_for`); none, and it does not hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo, model_validator

from gateway.core.place import Candidate
from gateway.policy.condition import Test, shown
from gateway.policy.cures import quote
from gateway.policy.matchers import Matcher, Matchers, Wanted
from gateway.policy.patterns import Field, PatternBook, fold_text, text_field
from gateway.policy.reading import Reading
from gateway.policy.values import Known, Model, Seconds, check_team, is_published, mistake

STATES = ("open", "pending", "closed")

_NONE = "no ticket"
_STATE = text_field("ticket.state", lambda _facts: ())

_VALUES: dict[str, Callable[[Candidate], tuple[str, ...]]] = {
    "state": lambda ticket: (ticket.state,),
    "team": lambda ticket: (ticket.team,) if ticket.team else (),
    "tag": lambda ticket: ticket.tags,
}


_MEANT = {
    **dict.fromkeys(("solved", "resolved", "done", "fixed", "finished", "answered"), "closed"),
    **dict.fromkeys(("waiting", "hold", "on hold", "on-hold", "paused"), "pending"),
    **dict.fromkeys(("new", "active", "reopened", "unassigned"), "open"),
}
"""Words of other desks."""


def _states(value: tuple[Matcher, ...], info: ValidationInfo) -> tuple[Matcher, ...]:
    """Each pattern holds for one of the states there are."""
    for kind, pattern in () if is_published(info) else ((m.kind, p) for m in value for p in m.patterns):
        book = PatternBook()
        book.add(_STATE, kind, pattern)
        if not any(book.compile()[_STATE.key].match(state) for state in STATES):
            meant = _MEANT.get(pattern.strip().lower(), "")
            cure = f"did you mean `{meant}`?" if meant else "it is open, pending or closed"
            raise mistake(f"no ticket is ever {quote(pattern)}: {cure}")
    return value


def _teams(value: tuple[Matcher, ...], info: ValidationInfo) -> tuple[Matcher, ...]:
    """A name written out is that of a team; a pattern may be about teams to come."""
    known = info.context
    if isinstance(known, Known):
        folded = {fold_text(team) for team in known.teams}
        for name in (p for m in value if m.kind == "exact" for p in m.patterns if fold_text(p) not in folded):
            check_team(name, info)
    return value


class TicketParams(Model):
    """Several keys mean all of them. `closed_for`: closed, and for at least as long."""

    state: Annotated[Matchers, AfterValidator(_states)] | None = None
    team: Annotated[Matchers, AfterValidator(_teams)] | None = None
    tag: Matchers | None = None
    closed_for: Seconds | None = None

    @model_validator(mode="after")
    def _something(self) -> TicketParams:
        if not self.model_fields_set:
            raise mistake("this is empty: write {state: matcher}, {team: matcher}, {tag: matcher} or {closed_for: 7d}")
        return self


class _Ticket:
    name = "ticket"
    Params = TicketParams

    def test(self, params: TicketParams, book: PatternBook) -> Test:
        wanted = {key: getattr(params, key) for key in _VALUES if getattr(params, key)}
        tests = {key: _matched(key, matchers, book) for key, matchers in wanted.items()}
        if params.closed_for is not None:
            tests["closed_for"] = _closed_for(timedelta(seconds=params.closed_for))
        return Test(
            lambda reading: all(t.holds(reading) for t in tests.values()),
            ", ".join(f"{key}: {t.expected}" for key, t in tests.items()),
            lambda reading: (
                ", ".join(f"{key}: {t.saw(reading)}" for key, t in tests.items()) if _of(reading) else _NONE
            ),
        )


def _of(reading: Reading) -> Candidate | None:
    return reading.belonging.candidate


def _matched(key: str, matchers: Matchers, book: PatternBook) -> Test:
    # which ticket it is depends on the policy too (`join_open_ticket`), so that the facts alone give no values
    where: Field = text_field(f"ticket.{key}", lambda _facts: ())
    wanted = Wanted(matchers, where, book)

    def values(reading: Reading) -> tuple[str, ...]:
        ticket = _of(reading)
        return _VALUES[key](ticket) if ticket else ()

    def holds(reading: Reading) -> bool:
        return any(not wanted.numbers.isdisjoint(reading.hits_in(where, value)) for value in values(reading))

    return Test(holds, wanted.text, lambda reading: shown(", ".join(values(reading))) or "(none)")


def _closed_for(least: timedelta) -> Test:
    def closed(reading: Reading) -> timedelta | None:
        ticket = _of(reading)
        return reading.facts.now - ticket.closed_at if ticket and ticket.closed_at else None

    def holds(reading: Reading) -> bool:
        found = closed(reading)
        return found is not None and found >= least

    def saw(reading: Reading) -> str:
        found = closed(reading)
        return "not closed" if found is None else _words(found)

    return Test(holds, f"at least {_words(least)}", saw)


def _words(span: timedelta) -> str:
    """The two largest units, for reading."""
    minutes = max(0, int(span.total_seconds())) // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days}d {hours}h" if hours else f"{days}d"
    return f"{hours}h {minutes % 60}m" if hours else f"{minutes % 60}m"


CONDITION: Any = _Ticket()
