"""What two decisions on one message do differently, in words that people compare: what a replay and a shadow tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.addresses import canonical
from gateway.core.decision import (
    Acknowledge,
    Assign,
    Decision,
    Disposition,
    Effect,
    Forward,
    Note,
    Notify,
    PartDisposition,
    Route,
    Set,
    Tag,
    TicketChoice,
    ToMailbox,
)

_AS_TICKET = {
    TicketChoice.NEW: "a new ticket",
    TicketChoice.JOIN: "joins its ticket",
    TicketChoice.NOTE: "a note on its ticket",
    TicketChoice.NONE: "no ticket",
}
_KEPT_AS = {
    Disposition.IGNORE: "ignored",
    Disposition.QUARANTINE: "quarantined",
    Disposition.REJECT: "refused",
    Disposition.DEFER: "deferred",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` is a thing that is decided (`message`, `team`, `tag`, `file 2`, ...); empty where one of the two has none."""

    what: str
    before: str
    after: str


def differences(before: Decision, after: Decision) -> tuple[Difference, ...]:
    """Everything that would go another way. Rules that matched and versions are no difference in themselves. Where one of
    the two gives no ticket the message's fate is all: what a ticket would have had besides goes with it, and would make
    each message with a Cc of its own differ in its own way.
    """
    whole = all(d.disposition is Disposition.ACCEPT for d in (before, after))
    first, second = (dict(_fate(d) if whole else [("message", _message(d))]) for d in (before, after))
    names = dict.fromkeys((*first, *second))
    return tuple(
        Difference(n, first.get(n, ""), second.get(n, "")) for n in names if first.get(n, "") != second.get(n, "")
    )


def fares_worse(before: Decision, after: Decision) -> bool:
    """What opened or joined a ticket would not any more: refused, deferred, ignored or quarantined."""
    return before.disposition is Disposition.ACCEPT and after.disposition is not Disposition.ACCEPT


def _fate(decision: Decision) -> Iterator[tuple[str, str]]:
    yield "message", _message(decision)
    yield from _joined(named for effect in decision.effects for named in _named(effect))
    if decision.participants:
        yield "taking part", ", ".join(sorted(canonical(p.address) for p in decision.participants))
    for part in decision.parts:
        if part.disposition is not PartDisposition.KEPT:
            yield f"file {part.n}", f"{part.disposition.value} ({part.reason})"


def _message(decision: Decision) -> str:
    if decision.disposition is Disposition.ACCEPT:
        return _AS_TICKET[decision.ticket]
    return f"{_KEPT_AS[decision.disposition]} ({decision.reason.value})"


def _joined(named: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Effects that add up are one thing: their order says nothing."""
    found: dict[str, list[str]] = {}
    for name, value in named:
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        yield name, ", ".join(sorted(values))


def _named(effect: Effect) -> Iterator[tuple[str, str]]:
    match effect:
        case Route(team=team):
            yield "team", f"{team}, unassigned"
        case Assign(agent=str(agent)):
            yield "team", f"assigned to {agent}"
        case Assign(teams=teams, strategy=strategy, otherwise=other):
            first = ", whoever served the author first" if effect.last_agent_first else ""
            then = f", otherwise {dict(_named(other))['team']}" if other else ""
            yield "team", f"{' or '.join(teams)}, by {strategy}{first}{then}"
        case ToMailbox(mailbox=mailbox):
            yield "mailbox", mailbox
        case Note(note=note):
            yield "note", note
        case Set(field=name, value=value):
            yield name, value
        case Tag(tag=tag):
            yield "tag", tag
        case Notify(to=to, only=only):
            yield ("told instead of the usual" if only else "told"), ", ".join(sorted(to))
        case Forward(address=address):
            yield "forwarded", address
        case Acknowledge(template=template):
            yield "confirmation", template or "the usual one"
