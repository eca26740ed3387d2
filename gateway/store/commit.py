"""THE transaction: a group of messages with their tickets, events and outbox rows, all or nothing.

The account row is the only lock: it guards ticket numbers, turns, receipts, twins and ticket state (on SQLite the write
lock does). Everything is read once for the group, decided in memory, and written with one statement per table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, update

from gateway.core.addresses import canonical
from gateway.core.clock import new_id
from gateway.core.decision import Acknowledge, Decision, Facts, Set, Tag, TicketChoice, ToMailbox
from gateway.core.forwarded import KIND
from gateway.core.notice import NoticeKind
from gateway.core.outcome import Accepted, Outcome, Parked, Reason
from gateway.core.place import Evidence
from gateway.core.ports import Strategy
from gateway.core.reports import Sender
from gateway.core.trace import Step
from gateway.store import forwarders
from gateway.store.assignment import Assignment, assign
from gateway.store.changes import raise_change
from gateway.store.engine import row_lock
from gateway.store.filing import Filing, Kept, LogEntry
from gateway.store.forwarded import outside
from gateway.store.group import Group
from gateway.store.group_state import Joined, TwinState
from gateway.store.insertion import insert_rows
from gateway.store.keys import TWIN_AGE, receipt_key, twin_key, twin_rank
from gateway.store.notices import Told, wants_acknowledgement, who_is_told
from gateway.store.on_ticket import add_those_of_cc, fresh_notes, notes
from gateway.store.roster import Roster, Rosters
from gateway.store.tables import (
    Account,
    Deferral,
    Event,
    Membership,
    MessageRow,
    Outbox,
    Participant,
    Receipt,
    Ticket,
    Transaction,
    Twin,
)
from gateway.store.tables.columns import columns

_a, _m, _s, _t, _w = columns(Account), columns(MessageRow), columns(Membership), columns(Ticket), columns(Twin)

ReplyLine = Callable[[Outcome, str], str]
"""The SMTP reply of an outcome for a trace id, for the delivery log; handed in, since only `smtp/replies.py` writes codes."""


class Commit:
    """Writes one group within the caller's transaction; returns an outcome per item, in order."""

    def __init__(self, strategies: Mapping[str, Strategy], reply_line: ReplyLine) -> None:
        self._strategies = strategies
        self._rosters = Rosters()
        self._reply_line = reply_line

    def __call__(
        self, connection: Connection, items: Sequence[Filing | LogEntry], now: datetime
    ) -> list[Outcome | None]:
        filings = [i for i in items if isinstance(i, Filing)]
        if any(f.answered for f in filings):
            raise_change(connection)  # as every admin change does: first, so that nobody waits for us in a circle
        row_lock(connection, sorted({f.account_id for f in filings}))
        group = Group.load(connection, filings, now, self._rosters, self._strategies)
        outcomes = [self._settle(group, item) for item in items]
        _write(connection, group)
        return outcomes

    def _settle(self, group: Group, item: Filing | LogEntry) -> Outcome | None:
        if isinstance(item, Filing):
            return self._file(group, item)
        account_id = group.account_id_of(item.record.account)
        group.log(item.record, account_id, item.steps)
        if item.deferral:
            group.note_deferral(account_id, item.deferral, item.record.at)
        return None

    def _file(self, group: Group, filing: Filing) -> Outcome:
        key = receipt_key(filing.envelope.recipients, filing.envelope.sha256)
        if (filing.account_id, filing.message_id) in group.settled:
            return Accepted(filing.envelope.trace_id, filing.message_id, duplicate=True, reason=Reason.DUPLICATE)
        if not filing.again:
            if first := group.receipts.get((filing.account_id, key)):
                return self._duplicate(group, filing, *first)
            group.new_receipt(filing, key)
        decision, facts = filing.decision, filing.facts
        if decision is None or facts is None or filing.kept is not Kept.TICKETED:
            group.add_message(filing, ticket_id=None, internal=False)
            return self._settled(group, filing, None, ())
        group.settled.add((filing.account_id, filing.message_id))  # its double may be in this very group
        joined, steps = self._ticket(group, filing, decision, facts)
        group.add_message(filing, ticket_id=joined.id, internal=decision.ticket is TicketChoice.NOTE)
        return self._settled(group, filing, joined.number, steps)

    def _duplicate(self, group: Group, filing: Filing, message_id: str, trace_id: str) -> Outcome:
        """A retry: the first transaction's answer, and nothing kept twice."""
        outcome = Accepted(trace_id, message_id, duplicate=True, reason=Reason.DUPLICATE)
        group.log_filing(filing, "accepted", Reason.DUPLICATE, self._reply_line(outcome, trace_id), message_id, ())
        group.unused_blobs += [filing] if filing.blob else []
        return outcome

    def _settled(self, group: Group, filing: Filing, number: int | None, steps: Sequence[Step]) -> Outcome:
        trace, message_id = filing.envelope.trace_id, filing.message_id
        outcome: Outcome
        if filing.kept is Kept.PARKED:
            outcome = Parked(filing.reason, message_id)
        else:
            outcome = Accepted(trace, message_id, ticket=number, reason=filing.reason)
        kept = Step(group.now, "commit", filing.kept.value, filing.reason.value, {"ticket": number} if number else {})
        steps = (*steps, *forwarders.learnt_from(group.connection, filing, group.now))
        name = "parked" if filing.kept is Kept.PARKED else "accepted"
        line = self._reply_line(outcome, trace)
        group.log_filing(filing, name, filing.reason, line, message_id, (kept, *steps))
        return outcome

    def _ticket(self, group: Group, filing: Filing, decision: Decision, facts: Facts) -> tuple[Joined, list[Step]]:
        key = None if filing.again else twin_key(facts.message)
        twin = group.twins.get((filing.account_id, key)) if key else None
        if twin and twin.at > group.now - TWIN_AGE:
            return self._link(group, filing, decision, facts, twin)
        joined = group.tickets.get((filing.account_id, decision.join or ""))
        steps = self._join(group, joined, filing, decision, facts) if joined else []
        if joined is None:
            joined, steps = self._open(group, filing, decision, facts)
        if key:
            rank = twin_rank(facts.place.mailbox, facts.message)
            group.set_twin(filing, key, TwinState(filing.message_id, joined.id, rank, group.now))
        return joined, steps

    def _open(self, group: Group, filing: Filing, decision: Decision, facts: Facts) -> tuple[Joined, list[Step]]:
        account = group.accounts[filing.account_id]
        staff = group.staff[filing.account_id]
        mailbox_id, team = _home(staff.roster, facts, decision)
        assignment = self._assign(group, filing, decision, team)
        ticket = Joined(new_id(), account.take_number(), "open", assignment.team_id, None, group.now)
        ticket.assignee_id = assignment.agent.id if assignment.agent else None
        group.add_ticket(filing, facts, ticket, mailbox_id=mailbox_id, **_fields(decision))
        participates = facts.message.author and facts.auth.sender is not Sender.FORGED
        if facts.message.author and participates:
            group.add_participant(filing.account_id, ticket.id, facts.message.author)
        add_those_of_cc(group, filing.account_id, ticket.id, decision.participants)
        steps = notes(group, ticket, decision)
        steps += self._acknowledge(group, filing, decision, facts, ticket)
        told = who_is_told(decision, facts.message.author, staff, ticket.team_id, assignment.agent)
        steps += group.tell(filing, facts, ticket.id, told)
        steps += self._forward(group, filing, decision, facts, ticket)
        return ticket, steps

    def _assign(self, group: Group, filing: Filing, decision: Decision, team: str | None) -> Assignment:
        """`team` is who has the ticket where the decision names nobody."""
        account, staff, customer = group.accounts[filing.account_id], group.staff[filing.account_id], filing.customer
        assignment = assign(decision.effects, staff, self._strategies, team, account.turn + 1, customer)
        if assignment.agent:
            account.turn += 1
            if customer:  # mail without a clear author is nobody's next
                staff.served[customer] = assignment.agent.id
        return assignment

    def _acknowledge(
        self, group: Group, filing: Filing, decision: Decision, facts: Facts, ticket: Joined
    ) -> list[Step]:
        """Confirm to a proven author, within the budgets; where nothing is sent, the trace says why."""
        author = facts.message.author
        silence = decision.silence
        if author and wants_acknowledgement(decision):
            silence = group.budgets[filing.account_id].spend(canonical(author.address))
            if not silence:
                wanted = next((e.template for e in decision.effects if isinstance(e, Acknowledge)), None)
                told = Told(NoticeKind.ACKNOWLEDGEMENT, author.address, author.name, template=wanted or "")
                group.owe(filing, ticket.id, [told])
                return [Step(group.now, "acknowledge", "owed")]
        return [Step(group.now, "acknowledge", "none", silence)]

    def _join(self, group: Group, ticket: Joined, filing: Filing, decision: Decision, facts: Facts) -> list[Step]:
        """An answer re-opens its ticket; a note is kept beside it. Route and assign come here only with `reassign`."""
        staff = group.staff[filing.account_id]
        if decision.ticket is TicketChoice.JOIN:
            ticket.reopen()
        assignment = self._assign(group, filing, decision, ticket.team_id)
        moved: dict[str, object] = {}
        if any(isinstance(e, ToMailbox) for e in decision.effects):
            moved["mailbox_id"], _ = _home(staff.roster, facts, decision)
        if assignment.agent or assignment.team_id != ticket.team_id:
            moved |= _given(ticket, assignment, group.now)
        elif staff.agent(ticket.assignee_id) is None:
            ticket.assignee_id = None  # the agent was removed since: the team is told
        group.touch(filing.account_id, ticket, **moved, **_fields(decision))
        ticket.is_untouched = False
        add_those_of_cc(group, filing.account_id, ticket.id, decision.participants)
        steps = notes(group, ticket, decision)
        if decision.ticket is TicketChoice.NOTE and _is_by_the_agent(facts):
            return [*steps, Step(group.now, "notify", "none", "an agent's note is told to nobody")]
        assignee = staff.agent(ticket.assignee_id)
        told = who_is_told(decision, facts.message.author, staff, ticket.team_id, assignee)
        steps += group.tell(filing, facts, ticket.id, told)
        return [*steps, *self._forward(group, filing, decision, facts, ticket)]

    def _forward(
        self,
        group: Group,
        filing: Filing,
        decision: Decision,
        facts: Facts,
        ticket: Joined,
        already: Collection[str] = (),
    ) -> list[Step]:
        """Owe the mail that rules send on, but to those who have a copy `already`."""
        addresses, kept_back = outside(group.connection, decision, facts)
        steps = [Step(group.now, "forward", "none", why, {"recipients": [a]}) for a, why in kept_back]
        fresh = [Told(KIND, a) for a in addresses if canonical(a) not in already]
        if fresh:
            steps.append(Step(group.now, "forward", "owed", "", {"recipients": [t.address for t in fresh]}))
        return [*steps, *group.tell(filing, facts, ticket.id, fresh)]

    def _link(
        self, group: Group, filing: Filing, decision: Decision, facts: Facts, twin: TwinState
    ) -> tuple[Joined, list[Step]]:
        """Another copy of a message we have: same ticket, nobody told twice. The copy whose mailbox stands first in To,
        then Cc, decides mailbox, team and assignee, whichever came first.
        """
        ticket = group.tickets[filing.account_id, twin.ticket_id]
        steps = [
            Step(group.now, "copy", "linked", "same message through another mailbox", {"message": twin.message_id})
        ]
        rank = twin_rank(facts.place.mailbox, facts.message)
        if rank < twin.rank and ticket.is_untouched:
            staff = group.staff[filing.account_id]
            mailbox_id, team = _home(staff.roster, facts, decision)
            assignment = self._assign(group, filing, decision, team)
            # a copy's move is part of the making: counted as a change, it would keep a third copy from its place
            moved = _given(ticket, assignment, group.now) | {"updated_at": ticket.created_at}
            group.touch(filing.account_id, ticket, mailbox_id=mailbox_id, **moved, **_fields(decision))
            told = who_is_told(decision, facts.message.author, staff, ticket.team_id, assignment.agent)
            already = group.told_of(filing.account_id, ticket.id)
            group.owe(filing, ticket.id, [t for t in told if canonical(t.address) not in already])
            forwarded = group.told_of(filing.account_id, ticket.id, kind=KIND)
            steps += self._forward(group, filing, decision, facts, ticket, forwarded)
            group.move_twin(filing.account_id, twin, rank)
            steps += fresh_notes(group, filing.account_id, ticket, decision)
        return ticket, steps


def _is_by_the_agent(facts: Facts) -> bool:
    """It came to an agent's token address, from that agent's own address."""
    author = canonical(facts.message.author.address) if facts.message.author else ""
    answers = [c for c in facts.context.candidates if c.evidence is Evidence.ANSWER_ADDRESS]
    return bool(author) and any(canonical(c.agent or "") == author for c in answers)


def _home(roster: Roster, facts: Facts, decision: Decision) -> tuple[str, str | None]:
    """The ids of the mailbox a new ticket belongs to, and of the team that has what comes there."""
    moved = next((e.mailbox for e in decision.effects if isinstance(e, ToMailbox)), "")
    if found := roster.mailboxes.get(moved):  # it may have been removed since the policy was published
        return found.id, found.team_id or roster.default_team
    mailbox = facts.place.mailbox
    return mailbox.id, roster.team_ids.get(mailbox.team or "") or roster.default_team


def _given(ticket: Joined, assignment: Assignment, now: datetime) -> dict[str, object]:
    """Give a ticket to a team or an agent; the further columns that change with it."""
    ticket.team_id = assignment.team_id
    ticket.assignee_id = assignment.agent.id if assignment.agent else None
    return {"assigned_at": now if assignment.agent else None}


def _fields(decision: Decision) -> dict[str, object]:
    """The ticket's columns that Set and Tag effects change."""
    values: dict[str, object] = {}
    free: dict[str, str] = {}
    for effect in decision.effects:
        if isinstance(effect, Set) and effect.field.startswith("fields."):
            free[effect.field.removeprefix("fields.")] = effect.value
        elif isinstance(effect, Set):
            values[effect.field] = effect.value
    if free:
        values["fields"] = free
    if tags := [e.tag for e in decision.effects if isinstance(e, Tag)]:
        values["tags"] = list(dict.fromkeys(tags))
    return values


def _write(connection: Connection, group: Group) -> None:
    """One statement a table; parents before children."""
    for table in (MessageRow, Receipt, Twin, Ticket, Participant, Outbox, Transaction, Event, Deferral):
        rows = group.inserts.get(str(table.__tablename__))
        if rows:
            insert_rows(connection, table, rows)
    for (account_id, ticket_id), values in group.ticket_changes.items():
        connection.execute(update(Ticket).where(_t.account_id == account_id, _t.id == ticket_id).values(**values))
    for (account_id, key), values in group.twin_changes.items():
        connection.execute(update(Twin).where(_w.account_id == account_id, _w.key == key).values(**values))
    for change in group.message_changes:
        values = {k.removeprefix("new_"): v for k, v in change.items() if k.startswith("new_")}
        whose, which = _m.account_id == change["of_account"], _m.id == change["of_id"]
        connection.execute(update(MessageRow).where(whose, which).values(**values))
    for account in group.accounts.values():
        moved = {"next_number": account.next_number, "turn": account.turn} | group.acknowledged(account.id)
        connection.execute(update(Account).where(_a.id == account.id).values(**moved))
    for account_id, staff in group.staff.items():
        for team_id, agent_id in staff.turned:
            member = (_s.account_id == account_id, _s.team_id == team_id, _s.agent_id == agent_id)
            turn = staff.last_turns[team_id, agent_id]
            connection.execute(update(Membership).where(*member).values(last_turn=turn))
