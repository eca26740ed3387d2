"""Teams, who belongs to them, who manages them; and the agents. As in `changes.py`, each change is one transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from gateway.core.addresses import canonical
from gateway.core.clock import new_id, now
from gateway.core.errors import UnknownThing
from gateway.store import named
from gateway.store.changes import Values, changing
from gateway.store.engine import Store, row_lock
from gateway.store.tables import Account, Agent, Membership, Team
from gateway.store.tables.columns import columns
from gateway.store.taken import address_is_free, free, not_received_here

_a, _g = columns(Account), columns(Agent)
_s, _team = columns(Membership), columns(Team)


def add_team(store: Store, account_id: str, name: str) -> None:
    with changing(store) as connection:
        query = select(_team.id).where(_team.account_id == account_id, _team.name == name)
        free(connection, query, f"team {name} exists already")
        connection.execute(insert(Team).values(account_id=account_id, id=new_id(), name=name))


def set_managers(store: Store, account_id: str, team: str, addresses: Collection[str]) -> None:
    """These of its agents manage the team, and no others. Raises UnknownThing for an unknown team, and for an address that
    is no agent of it.
    """
    keys = {canonical(a): a for a in addresses}
    with changing(store) as connection:
        team_id = named.team_id(connection, account_id, team)
        mine = (_s.account_id == account_id, _s.team_id == team_id)
        members = select(_g.address_key, _g.id).join_from(
            Membership, Agent, (_g.account_id == _s.account_id) & (_g.id == _s.agent_id)
        )
        there = {r.address_key: r.id for r in connection.execute(members.where(*mine, _g.removed_at.is_(None)))}
        if absent := [address for key, address in keys.items() if key not in there]:
            who = ", ".join(sorted(there)) or "none yet"
            raise UnknownThing(f"{', '.join(absent)} is no agent of the team {team}; its agents: {who}")
        managing = [there[key] for key in keys]
        connection.execute(update(Membership).where(*mine).values(manages=_s.agent_id.in_(managing)))


@dataclass(frozen=True, slots=True)
class NewAgent:
    address: str
    name: str
    teams: tuple[str, ...]
    language: str | None = None


def add_agent(store: Store, account_id: str, new: NewAgent) -> None:
    """A new agent is available. Raises InvalidInput, UnknownThing."""
    key = canonical(new.address)
    with changing(store) as connection:
        address_is_free(connection, account_id, key, for_agent=True)
        not_received_here(connection, key, "name the address where the agent reads")
        teams = [named.team_id(connection, account_id, t) for t in new.teams]
        number = connection.execute(select(_a.next_agent_number).where(_a.id == account_id)).scalar_one()
        connection.execute(update(Account).where(_a.id == account_id).values(next_agent_number=number + 1))
        agent_id = new_id()
        connection.execute(
            insert(Agent).values(
                account_id=account_id, id=agent_id, number=number, address=new.address, address_key=key,
                name=new.name, language=new.language, status="available", created_at=now(),
            )
        )  # fmt: skip
        for team in teams:
            connection.execute(
                insert(Membership).values(account_id=account_id, team_id=team, agent_id=agent_id, last_turn=0)
            )


def set_agent_status(store: Store, account_id: str, address: str, status: str) -> str:
    """Returns the agent's address as it is kept. Raises UnknownThing."""
    with changing(store) as connection:
        row = named.agent(connection, account_id, address)
        connection.execute(update(Agent).where(_g.account_id == account_id, _g.id == row.id).values(status=status))
    return str(row.address)


def edit_agent(store: Store, account_id: str, address: str, values: Values, *, teams: Collection[str] = ()) -> None:
    """`teams`: he belongs to these from now on, and to no others. Raises UnknownThing."""
    with changing(store) as connection:
        row_lock(connection, [account_id])  # who is chosen next is noted at the same memberships
        row = named.agent(connection, account_id, address)
        if teams:
            _set_teams(connection, account_id, row.id, {named.team_id(connection, account_id, t) for t in teams})
        if values:
            connection.execute(update(Agent).where(_g.account_id == account_id, _g.id == row.id).values(**values))


def _set_teams(connection: Connection, account_id: str, agent_id: str, wanted: set[str]) -> None:
    """Where he stays he keeps his turn, and manages what he managed."""
    mine = (_s.account_id == account_id, _s.agent_id == agent_id)
    connection.execute(delete(Membership).where(*mine, _s.team_id.not_in(wanted)))
    there = set(connection.execute(select(_s.team_id).where(*mine)).scalars())
    for team in sorted(wanted - there):
        connection.execute(
            insert(Membership).values(account_id=account_id, team_id=team, agent_id=agent_id, last_turn=0)
        )
