"""What sort of mail this is, and which ticket it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gateway.core.decision import Facts, Kind, TicketChoice
from gateway.core.place import Candidate, Evidence
from gateway.core.reports import Sender


@dataclass(frozen=True, slots=True)
class Belonging:
    """`candidate` is the ticket joined or noted on; `from_agent` when it came to an agent's token address. `by_setting`: it
    names no ticket, and joins one only because of `join_open_ticket`.
    """

    kind: Kind
    ticket: TicketChoice
    candidate: Candidate | None = None
    from_agent: bool = False
    by_setting: bool = False

    @property
    def is_new(self) -> bool:
        """It would open a ticket, were it not for `join_open_ticket`: rules see it whether or not its author has one open
        (docs/decisions.md), else a rule with `quarantine` or `new_ticket` would pass it by for want of `kind`.
        """
        return self.ticket is TicketChoice.NEW or self.by_setting


def belonging(facts: Facts, joining: bool | timedelta = False) -> Belonging:
    """Where the message belongs, by evidence only we can have made: a subject or a mere Message-ID joins nothing.

    `joining` is `accept.join_open_ticket`: whether new mail joins the open ticket of its proven author, or how recent that
    ticket's last activity must be.
    """
    candidate = _candidate(facts)
    if candidate is None:
        return _new(facts, joining)
    if candidate.evidence is Evidence.ANSWER_ADDRESS:
        return Belonging(_kind(facts, joins=True), TicketChoice.NOTE, candidate, from_agent=True)
    if _speaks_as_participant(facts, candidate):
        return Belonging(_kind(facts, joins=True), TicketChoice.JOIN, candidate)
    # a Message-ID is seen by every reader of the thread: from a stranger the mail stays inside, as a note
    return Belonging(_kind(facts, joins=True), TicketChoice.NOTE, candidate)


def _new(facts: Facts, joining: bool | timedelta) -> Belonging:
    """Mail that names no ticket of ours. What a machine or a list wrote is not its author's next word on a matter."""
    kind = _kind(facts, joins=False)
    opened = next((c for c in facts.context.candidates if c.evidence is Evidence.OPEN_TICKET), None)
    if opened is None or kind is not Kind.NEW or not _may_join(facts, opened, joining):
        return Belonging(kind, TicketChoice.NEW)
    return Belonging(kind, TicketChoice.JOIN, opened, by_setting=True)


def _may_join(facts: Facts, opened: Candidate, joining: bool | timedelta) -> bool:
    if joining is False or not opened.is_participant or facts.auth.sender is not Sender.VERIFIED:
        return False
    if isinstance(joining, bool):
        return True
    return opened.last_activity is not None and facts.now - opened.last_activity <= joining


def _candidate(facts: Facts) -> Candidate | None:
    """The best of the candidates: an agent's own address, then the ticket the author takes part in, then any."""
    candidates = [c for c in facts.context.candidates if c.evidence is not Evidence.OPEN_TICKET]
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
