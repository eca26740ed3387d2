"""Where somebody's mail is: every transaction it came by, with the ticket it made and what was sent about it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select
from sqlalchemy.sql import func

from gateway.core.addresses import canonical
from gateway.core.notice import NoticeKind
from gateway.store.engine import Store
from gateway.store.events import moment
from gateway.store.facts import UnreadableFacts, load_facts
from gateway.store.tables import Account, Agent, Event, MessageRow, Outbox, Ticket, Transaction
from gateway.store.tables.columns import columns

_a, _g, _e, _m = columns(Account), columns(Agent), columns(Event), columns(MessageRow)
_o, _t, _x = columns(Outbox), columns(Ticket), columns(Transaction)

Json = dict[str, Any]

SHOWN = 1000
"""Transactions of one sender that are told, the newest."""
_AT_ONCE = 500
_REWRITTEN = re.compile(r"(prvs=[^=]+=|srs[01][=+-][^=]*=[^=]*=)", re.IGNORECASE)
"""What a forwarder (SRS) or bounce protection (BATV) puts before the sender and changes from day to day."""


def mail_of(store: Store, sender: str, *, account: str | None, since: datetime | None) -> list[Json]:
    """Transactions whose author or reverse-path is `sender`, a reverse-path rewritten by SRS or BATV included; oldest
    first, the newest `SHOWN` of them.
    """
    query = (
        select(
            *_x, _a.name.label("account"), _m.author_address, _m.subject, _m.disposition, _m.reason.label("kept_reason"),
            _m.trace_id.label("first_trace"), _t.number, _t.state, _g.name.label("agent"), _g.address.label("assignee"),
        )
        .select_from(Transaction)
        .outerjoin(Account, _a.id == _x.account_id)
        .outerjoin(MessageRow, (_m.account_id == _x.account_id) & (_m.id == _x.message_id))
        .outerjoin(Ticket, (_t.account_id == _m.account_id) & (_t.id == _m.ticket_id))
        .outerjoin(Agent, (_g.account_id == _t.account_id) & (_g.id == _t.assignee_id))
        .where(_is_from(sender))
        .order_by(_x.at.desc())
        .limit(SHOWN)
    )  # fmt: skip
    if account:
        query = query.where(_a.name == account)
    if since:
        query = query.where(_x.at >= since)
    with store.read() as connection:
        rows = list(reversed(connection.execute(query).all()))
        confirmed = _confirmations(connection, [r.message_id for r in rows if r.message_id])
        silent = _silences(connection, [r.trace_id for r in rows])
    return [_entry(r, confirmed.get(r.message_id), silent.get(r.first_trace, "")) for r in rows]


def _is_from(sender: str) -> Any:
    key = canonical(sender)
    local, _, domain = key.rpartition("@")
    path = func.lower(_x.reverse_path)
    return or_(
        path == key,
        func.lower(_m.author_address) == key,
        path.contains(f"={domain}={local}@", autoescape=True),
        path.endswith(f"={key}", autoescape=True),
    )


def _confirmations(connection: Connection, messages: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for chunk in _chunks(messages):
        query = select(_o.message_id, _o.state, _o.last_reply).where(_o.message_id.in_(chunk))
        rows = connection.execute(query.where(_o.kind == NoticeKind.ACKNOWLEDGEMENT.value))
        found |= {row.message_id: row for row in rows}
    return found


def _silences(connection: Connection, traces: Sequence[str]) -> dict[str, str]:
    """Why no confirmation was sent, by trace."""
    found: dict[str, str] = {}
    for chunk in _chunks(traces):
        query = select(_e.trace_id, _e.reason).where(_e.trace_id.in_(chunk), _e.stage == "acknowledge")
        found |= {row.trace_id: row.reason for row in connection.execute(query.where(_e.outcome == "none"))}
    return found


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[i : i + _AT_ONCE] for i in range(0, len(ids), _AT_ONCE))


def _entry(row: Any, confirmation: Any, silence: str) -> Json:
    return {
        "trace": row.trace_id,
        "at": moment(row.at),
        "account": row.account or "system",
        "author": row.author_address or None,
        "reverse_path": row.reverse_path,
        "recipients": row.recipients,
        "subject": row.subject,
        "outcome": row.outcome,
        "reason": row.kept_reason or row.reason,
        "duplicate": row.first_trace is not None and row.first_trace != row.trace_id,
        "disposition": row.disposition,
        "message": row.message_id,
        "ticket": row.number,
        "ticket_state": row.state,
        "assignee": row.assignee,
        "assignee_name": row.agent,
        "confirmation": confirmation.state if confirmation else None,
        "not_confirmed": confirmation.last_reply if confirmation else silence,
    }


def newest_mail(store: Store, account: str | None) -> Json | None:
    """The last transaction there was, and the forwarder it came through where one is known."""
    query = (
        select(_x.at, _x.outcome, _a.name.label("account"), _m.facts)
        .select_from(Transaction)
        .outerjoin(Account, _a.id == _x.account_id)
        .outerjoin(MessageRow, (_m.account_id == _x.account_id) & (_m.id == _x.message_id))
        .order_by(_x.at.desc())
        .limit(1)
    )
    if account:
        query = query.where(_a.name == account)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return {"at": moment(row.at), "account": row.account or "system", "forwarder": _forwarder(row.facts)}


def _forwarder(facts: str | None) -> str | None:
    try:
        return load_facts(facts).auth.forwarder if facts else None
    except UnreadableFacts:
        return None


def unreturned(store: Store, lines: Sequence[Json]) -> list[Json]:
    """Of these lines of the delivery log the deferred ones whose sender never came back: no later transaction from the
    same sender settled all of their recipients.
    """
    waiting = [x for x in lines if x["outcome"] == "deferred"]
    if not waiting:
        return []
    since = min(datetime.fromisoformat(x["at"]) for x in waiting)
    later: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    query = select(_x.at, _x.reverse_path, _x.recipients).where(_x.at >= since, _x.outcome != "deferred")
    with store.read() as connection:
        for row in connection.execute(query):
            later[_sender(row.reverse_path)] += [(row.at, canonical(r)) for r in row.recipients]
    return [x for x in waiting if not _came_back(x, later[_sender(x["reverse_path"])])]


def _sender(reverse_path: str | None) -> str:
    return _REWRITTEN.sub("", reverse_path or "", count=1).lower()


def _came_back(line: Json, later: Sequence[tuple[datetime, str]]) -> bool:
    at = datetime.fromisoformat(line["at"])
    settled = {recipient for when, recipient in later if when > at}
    return all(canonical(r) in settled for r in line["recipients"])
