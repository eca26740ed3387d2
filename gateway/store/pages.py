"""Lists a page at a time, newest first, for programs that walk through them.

By key, not by offset: what arrives meanwhile shifts nothing, and the thousandth page costs what the first does. A cursor
says where to go on and opens nothing: every query names the account, so a cursor made up or of another account only
moves within one's own rows.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from gateway.core.errors import InvalidInput, UnknownThing
from gateway.store import log_reading, message_reading, outbox_reading, ticket_reading
from gateway.store.engine import Store
from gateway.store.events import lines_of, moment
from gateway.store.tables import Account, Event, MessageRow, Outbox, PolicyVersion, Ticket, Transaction
from gateway.store.tables.columns import columns
from gateway.store.ticket_reading import Json

_a, _e, _m, _o = columns(Account), columns(Event), columns(MessageRow), columns(Outbox)
_t, _v, _x = columns(Ticket), columns(PolicyVersion), columns(Transaction)

DEFAULT_LIMIT = 50
MOST_LIMIT = 200
_MOST_CHARACTERS = 4_000_000
"""A page of messages ends early when their facts (texts, header fields) come to so much."""
_ROWS_AT_ONCE = 25

_CURSOR = re.compile(r"(?P<kind>[a-z]+):(?:(?P<number>[0-9]{1,9})|(?P<id>[0-9a-f]{32}))")


_NO_CURSOR = "this is no cursor of this list; give the next_cursor of its last page, or none to begin anew"


class BadCursor(InvalidInput):
    """A cursor that no page of this list gave."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """At most `limit` items (1 to 200), behind `cursor`; None is the beginning."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`next_cursor` is None where the list ends."""

    items: list[Json]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """What a list is sorted by, and whose cursor is whose."""

    kind: str
    column: ColumnElement[Any]
    is_number: bool = False


_TICKETS, _POLICIES = Key("ticket", _t.number, is_number=True), Key("policy", _v.version, is_number=True)
MESSAGES, _OUTBOX = Key("message", _m.id), Key("outbox", _o.id)


def _cursor(kind: str, position: object) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{position}".encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


def _position(key: Key, cursor: str) -> int | str:
    """Raises BadCursor."""
    found = _CURSOR.fullmatch(_decoded(cursor))
    position = found["number" if key.is_number else "id"] if found and found["kind"] == key.kind else None
    if position is None:
        raise BadCursor(_NO_CURSOR)
    return int(position) if key.is_number else position


def rows_of(connection: Connection, query: Select[Any], key: Key, wanted: Wanted) -> tuple[list[Row[Any]], str | None]:
    """The page's rows, and the cursor behind them. Raises BadCursor."""
    if wanted.cursor is not None:
        query = query.where(key.column < _position(key, wanted.cursor))
    query = query.order_by(key.column.desc()).limit(wanted.limit + 1)
    rows: list[Row[Any]] = []
    characters = 0
    with connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}) as result:
        for row in result:
            if len(rows) == wanted.limit or characters > _MOST_CHARACTERS:
                last = rows[-1]._mapping[key.column]  # noqa: SLF001 - SQLAlchemy's public name for a row by column
                return rows, _cursor(key.kind, last)
            rows.append(row)
            characters += len(getattr(row, "facts", None) or "")
    return rows, None


def tickets(store: Store, account: str, wanted: Wanted, *, state: str | None = None) -> Page:
    """Ticket objects. Raises BadCursor."""
    query = ticket_reading.ticket_rows(account)
    if state:
        query = query.where(_t.state == state)
    with store.read() as connection:
        rows, cursor = rows_of(connection, query, _TICKETS, wanted)
        return Page(ticket_reading.ticket_objects(connection, account, rows), cursor)


def messages(store: Store, account: str, wanted: Wanted, *, disposition: str | None = None) -> Page:
    """Message objects without HTML; a page of large ones may end before the limit. Raises BadCursor."""
    query = message_reading.message_rows().where(_m.account_id == account)
    if disposition:
        query = query.where(_m.disposition == disposition)
    with store.read() as connection:
        rows, cursor = rows_of(connection, query, MESSAGES, wanted)
    return Page([message_reading.message_object(r) for r in rows], cursor)


def events(store: Store, account: str, wanted: Wanted, *, trace: str | None = None) -> Page:
    """Event objects with their traces. A row of the table holds several: a cursor names a row, and how many of its lines
    are still to come. Raises BadCursor.
    """
    query = select(*_e).where(_e.account_id == account)
    if trace:
        query = query.where(_e.trace_id == trace.upper())
    row_id, left = _place_in_events(wanted.cursor)
    if row_id:
        query = query.where(_e.id <= row_id)
    items: list[Json] = []
    with store.read() as connection:
        for row in connection.execute(query.order_by(_e.id.desc()).limit(wanted.limit + 1)):
            lines = lines_of(row)[: left if row.id == row_id else None]
            for place in reversed(range(len(lines))):
                if len(items) == wanted.limit:
                    return Page(items, _cursor("event", f"{row.id}-{place + 1}"))
                items.append({"id": lines[place]["id"], "trace": row.trace_id} | lines[place])
    return Page(items, None)


def _place_in_events(cursor: str | None) -> tuple[str, int]:
    """Raises BadCursor."""
    if cursor is None:
        return "", 0
    found = re.fullmatch(r"event:([0-9a-f]{32})-([0-9]{1,3})", _decoded(cursor))
    if found is None:
        raise BadCursor(_NO_CURSOR)
    return found[1], int(found[2])


def outbox(store: Store, account: str, wanted: Wanted) -> Page:
    """Notifications owed and sent. Raises BadCursor."""
    light = [c for c in _o if c.name != "content"]
    query = (
        select(*light, _t.number.label("number"))
        .select_from(Outbox)
        .outerjoin(Ticket, (_t.account_id == _o.account_id) & (_t.id == _o.ticket_id))
        .where(_o.account_id == account)
    )
    with store.read() as connection:
        rows, cursor = rows_of(connection, query, _OUTBOX, wanted)
    return Page([outbox_reading.outbox_object(r, r.number) for r in rows], cursor)


def policies(store: Store, account: str, wanted: Wanted) -> Page:
    """Published versions without their text. Raises BadCursor."""
    with store.read() as connection:
        live = _live(connection, account)
        rows, cursor = rows_of(connection, select(*_v).where(_v.account_id == account), _POLICIES, wanted)
    return Page([_policy(r, live) for r in rows], cursor)


def policy(store: Store, account: str, version: int) -> Json:
    """One version with its text; 0 is the empty document every account begins with. Raises UnknownThing."""
    with store.read() as connection:
        live = _live(connection, account)
        row = connection.execute(select(*_v).where(_v.account_id == account, _v.version == version)).first()
    if row is not None:
        return _policy(row, live) | {"text": row.text}
    if version != 0:
        raise UnknownThing(f"there is no policy version {version} in this account")
    empty = {"author": "", "note": "", "rolled_back_from": None, "probation": False, "created_at": None, "text": ""}
    return {"version": 0, "live": live == 0} | empty


def _live(connection: Connection, account: str) -> int:
    return int(connection.execute(select(_a.policy_version).where(_a.id == account)).scalar() or 0)


def _policy(row: Any, live: int) -> Json:
    return {
        "version": row.version,
        "live": row.version == live,
        "author": row.author,
        "note": row.note,
        "rolled_back_from": row.rolled_back_from,
        "probation": row.probation,
        "created_at": moment(row.created_at),
    }


def trace(store: Store, account: str, trace_id: str) -> Json:
    """One trace of this account; another account's is as absent as one that never was. Raises UnknownThing."""
    mine = select(_x.trace_id).where(_x.trace_id == trace_id.upper(), _x.account_id == account)
    with store.read() as connection:
        if connection.execute(mine).first() is None:
            raise UnknownThing(f"there is no trace {trace_id} in this account")
    return log_reading.trace(store, trace_id)
