"""Read models of what an admin sets up: accounts, mailboxes, teams, agents, contacts, keys; plain JSON-able values."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from gateway.core.addresses import canonical
from gateway.core.errors import UnknownThing
from gateway.store.engine import Store
from gateway.store.tables import (
    Account,
    Agent,
    ApiKey,
    ContactRow,
    Domain,
    MailboxRow,
    Membership,
    MessageRow,
    Outbox,
    Team,
)
from gateway.store.tables.columns import columns

_a, _d, _b, _t = columns(Account), columns(Domain), columns(MailboxRow), columns(Team)
_g, _s, _c, _k = columns(Agent), columns(Membership), columns(ContactRow), columns(ApiKey)
_o, _m = columns(Outbox), columns(MessageRow)

Json = dict[str, Any]


def _time(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


# --- accounts ---


def accounts(store: Store) -> list[Json]:
    """Every account by name, without its private key."""
    shown = [c for c in _a if c.name != "dkim_key"]
    with store.read() as connection:
        domains = defaultdict(list)
        for row in connection.execute(select(_d.account_id, _d.domain).order_by(_d.domain)):
            domains[row.account_id].append(row.domain)
        rows = connection.execute(select(*shown).order_by(_a.name)).all()
    return [_account(r, domains[r.id]) for r in rows]


def account(store: Store, account_id: str) -> Json:
    """One account. Raises UnknownThing."""
    shown = [c for c in _a if c.name != "dkim_key"]
    with store.read() as connection:
        row = connection.execute(select(*shown).where(_a.id == account_id)).first()
        query = select(_d.domain).where(_d.account_id == account_id).order_by(_d.domain)
        domains = list(connection.execute(query).scalars())
    if row is None:
        raise UnknownThing("this account is not there any more")
    return _account(row, domains)


def _account(row: Any, domains: list[str]) -> Json:
    return {
        "name": row.name,
        "company_name": row.company_name,
        "domains": domains,
        "language": row.language,
        "timezone": row.timezone,
        "listen_only": row.listen_only,
        "number_prefix": row.number_prefix,
        "next_number": row.next_number,
        "policy_version": row.policy_version,
        "arc_sealers": row.arc_sealers,
        "quarantine_days": row.quarantine_days,
        "admins": row.admins,
        "dkim_selector": row.dkim_selector,
        "created_at": _time(row.created_at),
    }


def sealed_dkim_key(store: Store, account_id: str) -> bytes:
    """The account's DKIM key as it lies encrypted."""
    with store.read() as connection:
        return bytes(connection.execute(select(_a.dkim_key).where(_a.id == account_id)).scalar_one())


# --- mailboxes ---


def mailboxes(store: Store, account_id: str) -> list[Json]:
    """In the order they were added."""
    query = (
        select(*_b, _t.name.label("team"))
        .select_from(MailboxRow)
        .outerjoin(Team, (_t.account_id == _b.account_id) & (_t.id == _b.team_id))
        .where(_b.account_id == account_id, _b.removed_at.is_(None))
        .order_by(_b.created_at, _b.id)
    )
    with store.read() as connection:
        return [_mailbox(r) for r in connection.execute(query)]


def mailbox(store: Store, account_id: str, address: str) -> Json:
    """Raises UnknownThing, naming those that are there."""
    every = mailboxes(store, account_id)
    found = next((m for m in every if canonical(m["address"]) == canonical(address)), None)
    if found is None:
        there = ", ".join(m["address"] for m in every)
        raise UnknownThing(f"there is no mailbox {address} in this account; mailboxes: {there}")
    return found


def _mailbox(row: Any) -> Json:
    return {
        "address": row.address,
        "name": row.name,
        "inbound": row.inbound,
        "language": row.language,
        "team": row.team,
        "default": row.is_default,
        "account_own": row.is_account_own,
        "created_at": _time(row.created_at),
    }


# --- teams and agents ---


def teams(store: Store, account_id: str) -> list[Json]:
    """By name, each with its agents' addresses, and those of them who manage it."""
    with store.read() as connection:
        members = _members(connection, account_id)
        managers = _members(connection, account_id, _s.manages.is_(True))
        query = select(_t.id, _t.name).where(_t.account_id == account_id).order_by(_t.name)
        return [
            {
                "name": row.name,
                "agents": [agent for agent, team in members if team == row.name],
                "managers": [agent for agent, team in managers if team == row.name],
            }
            for row in connection.execute(query)
        ]


def agents(store: Store, account_id: str) -> list[Json]:
    """By address, each with its teams."""
    with store.read() as connection:
        members = _members(connection, account_id)
        rows = connection.execute(
            select(*_g).where(_g.account_id == account_id, _g.removed_at.is_(None)).order_by(_g.address_key)
        ).all()
    return [
        {
            "number": row.number,
            "address": row.address,
            "name": row.name,
            "status": row.status,
            "language": row.language,
            "teams": [team for agent, team in members if agent == row.address],
            "created_at": _time(row.created_at),
        }
        for row in rows
    ]


def _members(connection: Connection, account_id: str, *only: ColumnElement[bool]) -> list[tuple[str, str]]:
    """Agents' addresses with the names of their teams."""
    query = (
        select(_g.address, _t.name)
        .select_from(Membership)
        .join(Agent, (_g.account_id == _s.account_id) & (_g.id == _s.agent_id))
        .join(Team, (_t.account_id == _s.account_id) & (_t.id == _s.team_id))
        .where(_s.account_id == account_id, _g.removed_at.is_(None), *only)
        .order_by(_g.address_key, _t.name)
    )
    return [(row.address, row.name) for row in connection.execute(query)]


# --- contacts and keys ---


def contacts(store: Store, account_id: str) -> list[Json]:
    """By address."""
    query = select(*_c).where(_c.account_id == account_id).order_by(_c.address_key)
    with store.read() as connection:
        return [
            {
                "address": row.address,
                "name": row.name,
                "company": row.company,
                "language": row.language,
                "tags": row.tags,
                "created_at": _time(row.created_at),
            }
            for row in connection.execute(query)
        ]


def keys(store: Store, account_id: str) -> list[Json]:
    """API keys without what opens anything, oldest first, revoked ones too."""
    query = (
        select(*_k, _t.name.label("team"))
        .select_from(ApiKey)
        .outerjoin(Team, (_t.account_id == _k.account_id) & (_t.id == _k.team_id))
        .where(_k.account_id == account_id)
        .order_by(_k.id)
    )
    with store.read() as connection:
        return [
            {
                "id": row.id,
                "scope": row.scope,
                "team": row.team,
                "note": row.note,
                "created_at": _time(row.created_at),
                "revoked_at": _time(row.revoked_at),
            }
            for row in connection.execute(query)
        ]


# --- what a message caused ---


def notices_of_trace(store: Store, trace_id: str) -> list[Json]:
    """The notifications owed for one transaction, oldest first."""
    query = (
        select(*[c for c in _o if c.name != "content"])
        .select_from(Outbox)
        # by way of the message: its trace and the outbox's ticket are indexed
        .join(MessageRow, (_m.account_id == _o.account_id) & (_m.ticket_id == _o.ticket_id))
        .where(_m.trace_id == trace_id, _o.trace_id == trace_id)
        .order_by(_o.id)
    )
    with store.read() as connection:
        return [
            {
                "id": row.id,
                "kind": row.kind,
                "recipient": row.recipient,
                "state": row.state,
                "attempts": row.attempts,
                "next_at": _time(row.next_at) if row.state == "pending" else None,
                "settled_at": _time(row.settled_at),
                "last_reply": row.last_reply,
            }
            for row in connection.execute(query)
        ]
