"""What people do to tickets: each in one transaction under the account's row, recorded in the ticket's history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.core.addresses import canonical
from gateway.core.clock import new_id, now
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.notice import NoticeKind
from gateway.core.trace import Step
from gateway.store import named
from gateway.store.changes import changing, one_row
from gateway.store.default_team import default_team
from gateway.store.engine import Store, row_lock
from gateway.store.events import event_object, event_row
from gateway.store.tables import (
    Account,
    Agent,
    Event,
    MailboxRow,
    Membership,
    MessageRow,
    Outbox,
    Participant,
    Team,
    Ticket,
)
from gateway.store.tables.columns import columns

_a, _b, _g, _m = columns(Account), columns(MailboxRow), columns(Agent), columns(MessageRow)
_s, _t, _e, _team = columns(Membership), columns(Ticket), columns(Event), columns(Team)

Json = dict[str, Any]


def set_ticket_state(store: Store, account_id: str, number: int, state: str, *, by: str) -> str:
    """Returns the state before. Raises UnknownThing."""
    with changing_ticket(store, account_id, number) as (connection, row):
        if row.state == state:
            return state
        at = now()
        values: Json = {"state": state, "updated_at": at, "closed_at": at if state == "closed" else None}
        connection.execute(update(Ticket).where(_t.account_id == account_id, _t.id == row.id).values(values))
        detail = {"ticket": number, "by": by, "from": row.state}
        record_of_ticket(connection, account_id, row.id, Step(at, "ticket", state, "", detail))
    return str(row.state)


@contextmanager
def changing_ticket(store: Store, account_id: str, number: int) -> Iterator[tuple[Connection, Row[Any]]]:
    """A change of one ticket, under its account's row: mail that joins it meanwhile waits. Raises UnknownThing."""
    with changing(store) as connection:
        row_lock(connection, [account_id])
        query = select(*_t).where(_t.account_id == account_id, _t.number == number)
        missing = f"there is no ticket {number} in this account; `gateway ticket list` shows all"
        yield connection, one_row(connection, query, missing)


def record_of_ticket(connection: Connection, account_id: str, ticket_id: str, step: Step) -> None:
    """In the trace of the message that opened the ticket; one that holds no message has its own id for a trace."""
    first = select(_m.trace_id).where(_m.account_id == account_id, _m.ticket_id == ticket_id).order_by(_m.id).limit(1)
    trace = connection.execute(first).scalar() or ticket_id
    connection.execute(insert(Event).values(event_row(trace, account_id, step)))


@dataclass(frozen=True, slots=True)
class Assignee:
    """Who gets a ticket: an agent within a team, or a team's agents together (`id` and `address` empty)."""

    team_id: str | None
    team: str
    id: str | None = None
    address: str = ""
    name: str = ""


def assign_ticket(
    store: Store, account_id: str, number: int, *, agent: str | None, team: str | None, by: str, tell: bool = True
) -> bool:
    """To an agent, or unassigned to a team. The new assignee is owed the usual notice, unless it would have nothing to
    speak of: it tells what the newest message says. False when it was so before. Raises UnknownThing, InvalidInput.
    """
    with changing_ticket(store, account_id, number) as (connection, ticket):
        to = find_assignee(connection, account_id, agent, team, ticket.team_id)
        if (to.team_id, to.id) == (ticket.team_id, ticket.assignee_id):
            return False
        owed = None
        if tell and to.id and to.id != ticket.assignee_id:
            owed = _owe_assigned(connection, account_id, ticket.id, to)
        hand_over(connection, account_id, ticket, to, by=by, outbox=owed)
    return True


def find_assignee(
    connection: Connection, account_id: str, agent: str | None, team: str | None, usual_team: str | None
) -> Assignee:
    """An agent stays within `usual_team` (an id) if it is a member, else comes in through a team of its own."""
    teams = _teams(connection, account_id)
    if team is not None and team not in teams.values():
        raise UnknownThing(f"there is no team {team!r} in this account; teams: {', '.join(sorted(teams.values()))}")
    wanted = next((i for i, name in teams.items() if name == team), None)
    if agent is None:
        return Assignee(wanted, team or "")
    row = named.agent(connection, account_id, agent)
    member_of = [i for i in teams if i in _memberships(connection, account_id, row.id)]
    if wanted and wanted not in member_of:
        raise InvalidInput(f"{row.address} is not in team {team}; in: {', '.join(teams[i] for i in member_of)}")
    chosen = wanted or (usual_team if usual_team in member_of else next(iter(member_of), usual_team))
    return Assignee(chosen, teams.get(chosen or "", ""), row.id, row.address, row.name)


def _teams(connection: Connection, account_id: str) -> dict[str, str]:
    query = select(_team.id, _team.name).where(_team.account_id == account_id).order_by(_team.name)
    return {row.id: row.name for row in connection.execute(query)}


def _memberships(connection: Connection, account_id: str, agent_id: str) -> set[str]:
    query = select(_s.team_id).where(_s.account_id == account_id, _s.agent_id == agent_id)
    return set(connection.execute(query).scalars())


def hand_over(
    connection: Connection, account_id: str, ticket: Any, to: Assignee, *, by: str, outbox: str | None = None
) -> None:
    """Move a ticket, and record from whom to whom."""
    at = now()
    values: Json = {"team_id": to.team_id, "assignee_id": to.id, "updated_at": at}
    if to.id != ticket.assignee_id:
        values["assigned_at"] = at if to.id else None
    mine = (_t.account_id == account_id, _t.id == ticket.id)
    connection.execute(update(Ticket).where(*mine).values(**values))
    before = select(_g.address).where(_g.account_id == account_id, _g.id == ticket.assignee_id)
    detail: Json = {"ticket": ticket.number, "by": by, "from": connection.execute(before).scalar(), "to": to.address}
    detail |= {"team": to.team} | ({"outbox": outbox} if outbox else {})
    outcome = "assigned" if to.id else "unassigned"
    record_of_ticket(connection, account_id, ticket.id, Step(at, "ticket", outcome, "", detail))


def _owe_assigned(connection: Connection, account_id: str, ticket_id: str, to: Assignee) -> str | None:
    """The notice tells what the newest message says; a ticket without messages has nothing to tell."""
    about = connection.execute(
        select(_m.id, _m.trace_id, _a.listen_only)
        .join_from(MessageRow, Account, _a.id == _m.account_id)
        .where(_m.account_id == account_id, _m.ticket_id == ticket_id, _m.direction == "inbound")
        .order_by(_m.id.desc())
        .limit(1)
    ).first()
    if about is None:
        return None
    outbox_id, at = new_id(), now()
    connection.execute(
        insert(Outbox).values(
            account_id=account_id, id=outbox_id, trace_id=about.trace_id, ticket_id=ticket_id, message_id=about.id,
            kind=NoticeKind.ASSIGNED.value, recipient=to.address, recipient_key=canonical(to.address),
            recipient_name=to.name, agent_id=to.id, state="withheld" if about.listen_only else "pending", attempts=0,
            created_at=at, next_at=at, message_id_header="", template="", last_reply="",
        )
    )  # fmt: skip
    return outbox_id


def note_ticket(store: Store, account_id: str, number: int, text: str, *, by: str) -> None:
    """An internal note: an event, for people of the company only. Raises UnknownThing."""
    with changing_ticket(store, account_id, number) as (connection, ticket):
        at = now()
        mine = (_t.account_id == account_id, _t.id == ticket.id)
        connection.execute(update(Ticket).where(*mine).values(updated_at=at))
        step = Step(at, "note", "kept", "", {"ticket": number, "by": by, "text": text})
        record_of_ticket(connection, account_id, ticket.id, step)


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket that begins with us: nobody has written yet."""

    mailbox: str
    participant: str
    subject: str
    name: str = ""


def open_ticket(store: Store, account_id: str, new: NewTicket, *, by: str) -> int:
    """Returns its number. Its team is the mailbox's, nobody is assigned, no mail is owed. Raises UnknownThing."""
    with changing(store) as connection:
        row_lock(connection, [account_id])
        mailbox = _mailbox(connection, account_id, new.mailbox)
        number = int(connection.execute(select(_a.next_number).where(_a.id == account_id)).scalar_one())
        connection.execute(update(Account).where(_a.id == account_id).values(next_number=number + 1))
        ticket_id, at = new_id(), now()
        connection.execute(
            insert(Ticket).values(
                account_id=account_id, id=ticket_id, number=number, mailbox_id=mailbox.id, subject=new.subject,
                state="open", priority="normal", team_id=mailbox.team_id or default_team(connection, account_id),
                tags=[], fields={}, created_at=at, updated_at=at,
            )
        )  # fmt: skip
        _participate(connection, account_id, ticket_id, new)
        _record_opening(connection, account_id, ticket_id, number, new, by=by, at=at)
    return number


def _mailbox(connection: Connection, account_id: str, address: str) -> Any:
    there = (_b.account_id == account_id, _b.removed_at.is_(None))
    query = select(_b.id, _b.team_id).where(*there, _b.address_key == canonical(address))
    row = connection.execute(query).first()
    if row is None:
        every = connection.execute(select(_b.address).where(*there).order_by(_b.created_at, _b.id)).scalars()
        raise UnknownThing(f"there is no mailbox {address} in this account; mailboxes: {', '.join(every)}")
    return row


def _participate(connection: Connection, account_id: str, ticket_id: str, new: NewTicket) -> None:
    connection.execute(
        insert(Participant).values(
            account_id=account_id, ticket_id=ticket_id, address_key=canonical(new.participant),
            address=new.participant, name=new.name, role="customer",
        )
    )  # fmt: skip


def _record_opening(
    connection: Connection, account_id: str, ticket_id: str, number: int, new: NewTicket, *, by: str, at: datetime
) -> None:
    """What makes a ticket without a message right: the audit looks for it."""
    detail = {"ticket": number, "by": by, "mailbox": new.mailbox, "to": new.participant}
    record_of_ticket(connection, account_id, ticket_id, Step(at, "ticket", "opened", "by hand", detail))


# --- read back ---


def ticket_history(store: Store, account_id: str, number: int) -> list[Json]:
    """What people did to a ticket, oldest first: `ticket` and `note` events. Empty for a ticket that is not there."""
    with store.read() as connection:
        mine = (_t.account_id == account_id, _t.number == number)
        ticket_id = connection.execute(select(_t.id).where(*mine)).scalar()
        traces = select(_m.trace_id).where(_m.account_id == account_id, _m.ticket_id == ticket_id)
        rows = connection.execute(
            select(*_e)
            .where(_e.account_id == account_id, _e.trace_id.in_(traces) | (_e.trace_id == ticket_id))
            .where(_e.stage.in_(("ticket", "note")))
            .order_by(_e.id)
        ).all()
    return [event_object(r) for r in rows if r.detail.get("ticket") == number]


def newest_tickets(store: Store, account_id: str, limit: int = 200) -> list[tuple[int, str]]:
    """Numbers and subjects, newest first: what a shell completes."""
    query = select(_t.number, _t.subject).where(_t.account_id == account_id).order_by(_t.number.desc()).limit(limit)
    with store.read() as connection:
        return [(row.number, row.subject) for row in connection.execute(query)]
