"""Accounts, teams and agents by what people call them. Whoever is not there is answered with those who are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from gateway.core.addresses import canonical
from gateway.core.errors import UnknownThing
from gateway.store.engine import Store
from gateway.store.tables import Account, Agent, Team
from gateway.store.tables.columns import columns

_a, _g, _t = columns(Account), columns(Agent), columns(Team)

SYSTEM = "system"
"""The operator's account: postmaster and abuse of the gateway's own names, and refusals before an account is known."""


def account_id(store: Store, name: str) -> str:
    """Raises UnknownThing."""
    with store.read() as connection:
        found = connection.execute(select(_a.id).where(_a.name == name)).scalar()
        if found is None:
            names = ", ".join(connection.execute(select(_a.name).order_by(_a.name)).scalars()) or "none yet"
            raise UnknownThing(f"there is no account {name!r}; accounts: {names}")
    return str(found)


def only_account(store: Store) -> str | None:
    """The name of the only account there is beside the operator's own; None where there are none or several."""
    with store.read() as connection:
        names = connection.execute(select(_a.name).where(_a.name != SYSTEM).limit(2)).scalars().all()
    return names[0] if len(names) == 1 else None


def team_id(connection: Connection, account_id: str, name: str) -> str:
    """Raises UnknownThing."""
    found = connection.execute(select(_t.id).where(_t.account_id == account_id, _t.name == name)).scalar()
    if found is None:
        query = select(_t.name).where(_t.account_id == account_id).order_by(_t.name)
        names = ", ".join(connection.execute(query).scalars())
        raise UnknownThing(f"there is no team {name!r} in this account; teams: {names}")
    return str(found)


def agent(connection: Connection, account_id: str, address: str) -> Any:
    """`id`, `address` and `name`; who left is not there. Raises UnknownThing."""
    there = (_g.account_id == account_id, _g.removed_at.is_(None))
    query = select(_g.id, _g.address, _g.name).where(*there, _g.address_key == canonical(address))
    row = connection.execute(query).first()
    if row is None:
        names = connection.execute(select(_g.address).where(*there).order_by(_g.address_key)).scalars()
        raise UnknownThing(f"there is no agent {address} in this account; agents: {', '.join(names) or 'none yet'}")
    return row
