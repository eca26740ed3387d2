"""What sort of mail this is, and which ticket it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.decision import Facts, Kind, TicketChoice
from gateway.core.place import Candidate, Evidence
from gateway.core.reports import Sender


@dataclass(frozen=True, slots=True)
class Belonging:
    """`candidate` is the ticket joined or noted on; `from_agent` when it came to an agent's token address."""

    kind: Kind
    ticket: TicketChoice
    candidate: Candidate | None = None
    from_agent: bool = False


def belonging(facts: Facts) -> Belonging:
    """Where the message belongs, by evidence only we can have made: a subject or a mere Message-ID joins nothing."""
    candidate = _candidate(facts)
    if candidate is None:
        return Belonging(_kind(facts, joins=False), TicketChoice.NEW)
    if candidate.evidence is Evidence.ANSWER_ADDRESS:
        return Belonging(_kind(facts, joins=True), TicketChoice.NOTE, candidate, from_agent=True)
    if _speaks_as_participant(facts, candidate):
        return Belonging(_kind(facts, joins=True), TicketChoice.JOIN, candidate)
    # a Message-ID is seen by every reader of the thread: from a stranger the mail stays inside, as a note
    return Belonging(_kind(facts, joins=True), TicketChoice.NOTE, candidate)


def _candidate(facts: Facts) -> Candidate | None:
    """The best of the candidates: an agent's own address, then the ticket the author takes part in, then any."""
    candidates = facts.context.candidates
    for_agent = [c for c in candidates if c.evidence is Evidence.ANSWER_ADDRESS]
    joined = [c for c in candidates if _speaks_as_participant(facts, c)]
    return next(iter([*for_agent, *joined, *candidates]), None)


def _speaks_as_participant(facts: Facts, candidate: Candidate) -> bool:
    return candidate.is_participant and facts.auth.sender is not Sender.FORGED


def _kind(facts: Facts, *, joins: bool) -> Kind:
    message, null_path = facts.message, facts.envelope.reverse_path is None
    if facts.context.bounce_of is not None or (null_path and message.is_report):
        return Kind.BOUNCE
    if message.is_list:
        return Kind.LIST
    if message.automatic or message.is_report or null_path:
        return Kind.AUTOMATIC
    return Kind.ANSWER if joins else Kind.NEW
