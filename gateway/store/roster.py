"""The teams and agents of an account, read once for each change number: what only admins change costs a commit nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from gateway.core.place import AgentTeams
from gateway.store.default_team import default_team
from gateway.store.tables import Agent, MailboxRow, Membership, Team
from gateway.store.tables.columns import columns

_a, _m, _t, _b = columns(Agent), columns(Membership), columns(Team), columns(MailboxRow)

_AGENTS = select(_a.id, _a.number, _a.address, _a.address_key, _a.name, _a.status).where(
    _a.account_id == bindparam("account"), _a.removed_at.is_(None)
)
_FORMER = select(_a.address_key).where(_a.account_id == bindparam("account"), _a.removed_at.is_not(None)).distinct()
_TEAMS = select(_t.name, _t.id).where(_t.account_id == bindparam("account"))
_MEMBERS = (
    select(_m.team_id, _m.agent_id).where(_m.account_id == bindparam("account")).order_by(_m.agent_id, _m.team_id)
)
_MAILBOXES = select(_b.address_key, _b.id, _b.team_id).where(
    _b.account_id == bindparam("account"), _b.removed_at.is_(None)
)

_KEPT = 1024


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent who was not removed."""

    id: str
    number: int
    address: str
    address_key: str
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class MailboxEntry:
    """A mailbox that was not removed, with its own team."""

    id: str
    team_id: str | None


@dataclass(frozen=True, slots=True)
class Roster:
    """`team_ids` by name; `members` are agents' ids by team. `default_team` (an id) is the team of the account's default
    mailbox: mail of a mailbox without a team is somebody's business too. `mailboxes` by canonical address. `former` are the
    canonical addresses of agents who were removed and did not come back.
    """

    agents: Mapping[str, AgentEntry]
    team_ids: Mapping[str, str]
    members: Mapping[str, tuple[str, ...]]
    default_team: str | None
    mailboxes: Mapping[str, MailboxEntry]
    former: frozenset[str] = frozenset()

    def teams_of(self, agent_id: str) -> tuple[str, ...]:
        """The ids of an agent's teams, always in the same order."""
        return tuple(team for team, members in self.members.items() if agent_id in members)

    def agent_teams(self) -> AgentTeams:
        """As `Place` has them."""
        names = {i: name for name, i in self.team_ids.items()}
        return tuple((a.address_key, tuple(names[t] for t in self.teams_of(a.id))) for a in self.agents.values())

    def team_name(self, team_id: str | None) -> str | None:
        return next((name for name, i in self.team_ids.items() if i == team_id), None)


class Rosters:
    """For one thread. Nobody sees a roster older than the change number that the caller's own transaction has read."""

    def __init__(self) -> None:
        self._change: int | None = None
        self._known: dict[str, Roster] = {}

    def of(self, connection: Connection, account_id: str, change: int) -> Roster:
        """The roster of an account. `change` was read in this transaction, before."""
        if change != self._change or len(self._known) >= _KEPT:
            self._change, self._known = change, {}
        found = self._known.get(account_id)
        if found is None:
            found = self._known[account_id] = load_roster(connection, account_id)
        return found


def load_roster(connection: Connection, account_id: str) -> Roster:
    """Raises what the connection raises."""
    account = {"account": account_id}
    agents = {row.id: AgentEntry(*row) for row in connection.execute(_AGENTS, account)}
    team_ids = dict(map(tuple, connection.execute(_TEAMS, account)))
    members: dict[str, tuple[str, ...]] = {}
    for team_id, agent_id in connection.execute(_MEMBERS, account):
        if agent_id in agents:
            members[team_id] = (*members.get(team_id, ()), agent_id)
    default = default_team(connection, account_id)
    mailboxes = {row.address_key: MailboxEntry(row.id, row.team_id) for row in connection.execute(_MAILBOXES, account)}
    former = frozenset(connection.execute(_FORMER, account).scalars()) - {a.address_key for a in agents.values()}
    return Roster(agents, team_ids, members, default, mailboxes, former)
