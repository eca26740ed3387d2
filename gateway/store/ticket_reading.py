"""Tickets as people and programs are shown them, as plain JSON-able values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from gateway.core.errors import UnknownThing
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.events import moment
from gateway.store.message_reading import message_html, message_object, message_rows
from gateway.store.outbox_reading import outbox_object
from gateway.store.tables import Account, Agent, MailboxRow, MessageRow, Outbox, Participant, Team, Ticket
from gateway.store.tables.columns import columns

_a = columns(Account)
_g = columns(Agent)
_b = columns(MailboxRow)
_m = columns(MessageRow)
_o = columns(Outbox)
_p = columns(Participant)
_team = columns(Team)
_t = columns(Ticket)

Json = dict[str, Any]


def ticket_rows(account: str) -> Select[Any]:
    """What `ticket_objects` needs of every ticket of an account, in no order."""
    return (
        select(
            *_t, _a.name.label("account"), _b.address.label("mailbox"), _team.name.label("team"),
            _g.address.label("assignee"), _a.number_prefix,
        )
        .select_from(Ticket)
        .join(Account, _a.id == _t.account_id)
        .join(MailboxRow, (_b.account_id == _t.account_id) & (_b.id == _t.mailbox_id))
        .outerjoin(Team, (_team.account_id == _t.account_id) & (_team.id == _t.team_id))
        .outerjoin(Agent, (_g.account_id == _t.account_id) & (_g.id == _t.assignee_id))
        .where(_t.account_id == account)
    )  # fmt: skip


def tickets(store: Store, account: str, *, state: str | None = None) -> list[Json]:
    """Ticket objects, newest first."""
    query = ticket_rows(account).order_by(_t.number.desc())
    if state:
        query = query.where(_t.state == state)
    with store.read() as connection:
        return ticket_objects(connection, account, connection.execute(query).all())


def ticket_objects(connection: Connection, account: str, rows: Sequence[Row[Any]]) -> list[Json]:
    """Tickets with their messages' ids, for rows of `ticket_rows`."""
    people = _participants(connection, account, [r.id for r in rows])
    ids = _message_ids(connection, account, [r.id for r in rows])
    return [_ticket(r, people.get(r.id, []), ids.get(r.id, [])) for r in rows]


def ticket(store: Store, account: str, number: int, blobs: FileBlobs | None = None) -> Json:
    """One ticket with its full messages, oldest first, and the notifications sent about it. Raises UnknownThing."""
    with store.read() as connection:
        row = connection.execute(ticket_rows(account).where(_t.number == number)).first()
        if row is None:
            raise UnknownThing(f"there is no ticket {number} in this account; `gateway ticket list` shows all")
        messages = connection.execute(
            message_rows().where(_m.account_id == account, _m.ticket_id == row.id).order_by(_m.id)
        ).all()
        sent = connection.execute(
            select(*_o).where(_o.account_id == account, _o.ticket_id == row.id).order_by(_o.id)
        ).all()
        people = _participants(connection, account, [row.id])
    shown = _ticket(row, people.get(row.id, []), [])
    shown["messages"] = [message_object(m) | {"html": message_html(store, blobs, account, m)} for m in messages]
    shown["notifications"] = [outbox_object(o, row.number) for o in sent]
    return shown


def _ticket(row: Any, people: Sequence[Json], messages: Sequence[str]) -> Json:
    return {
        "number": row.number,
        "label": f"{row.number_prefix}{row.number}",
        "account": row.account,
        "mailbox": row.mailbox,
        "subject": row.subject,
        "state": row.state,
        "priority": row.priority,
        "team": row.team,
        "assignee": row.assignee,
        "tags": row.tags,
        "fields": row.fields,
        "participants": list(people),
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "messages": list(messages),
    }


def _participants(connection: Connection, account: str, tickets_: Sequence[str]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for chunk in _chunks(tickets_):
        query = select(*_p).where(_p.account_id == account, _p.ticket_id.in_(chunk))
        # sorted here: asked for an order, SQLite walks along it through all that the account has
        for row in sorted(connection.execute(query), key=lambda r: str(r.address_key)):
            person = {"address": row.address, "name": row.name, "role": row.role}
            found.setdefault(row.ticket_id, []).append(person)
    return found


def _message_ids(connection: Connection, account: str, tickets_: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for chunk in _chunks(tickets_):
        query = select(_m.id, _m.ticket_id).where(_m.account_id == account, _m.ticket_id.in_(chunk))
        for row in sorted(connection.execute(query), key=lambda r: str(r.id)):  # for the same reason
            found.setdefault(row.ticket_id, []).append(row.id)
    return found


def _chunks(ids: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    """SQLite takes a bounded number of parameters."""
    return [ids[i : i + size] for i in range(0, len(ids), size)]
