"""Who gets a ticket: the decision's effects, and the state of teams as the commit's transaction sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, func, select

from gateway.core.decision import Assign, Effect, Route
from gateway.core.ports import AgentCandidate, Strategy
from gateway.store.tables import Agent, Membership, Team, Ticket
from gateway.store.tables.columns import columns

WORKING = frozenset({"available", "in-email"})
"""Statuses whose agents are given mail."""

_a, _m, _t, _k = columns(Agent), columns(Membership), columns(Team), columns(Ticket)


@dataclass(slots=True)
class AgentState:
    """An agent within this transaction; the counts move as the group's messages are assigned."""

    id: str
    number: int
    address: str
    address_key: str
    name: str
    status: str
    open: int = 0
    today: int = 0


@dataclass(slots=True)
class Staff:
    """The teams and agents of one account."""

    agents: dict[str, AgentState] = field(default_factory=dict)
    team_ids: dict[str, str] = field(default_factory=dict)
    members: dict[str, dict[str, int]] = field(default_factory=dict)
    turned: set[tuple[str, str]] = field(default_factory=set)

    def by_address(self, address_key: str) -> AgentState | None:
        return next((a for a in self.agents.values() if a.address_key == address_key), None)

    def of_team(self, team_id: str | None) -> list[AgentState]:
        return [self.agents[i] for i in self.members.get(team_id or "", {})]

    def teams_of(self, agent_id: str) -> list[str]:
        return [team for team, members in self.members.items() if agent_id in members]


@dataclass(frozen=True, slots=True)
class Assignment:
    team_id: str | None
    agent: AgentState | None


def load_staff(connection: Connection, account_id: str, now: datetime, timezone: str, *, counted: bool = True) -> Staff:
    """Teams, agents, and how many tickets each agent has open and was given today (in the account's time zone).

    Without `counted` nothing is counted: only a strategy asks, and to count takes as long as there are open tickets.
    """
    staff = Staff()
    for row in connection.execute(
        select(_a.id, _a.number, _a.address, _a.address_key, _a.name, _a.status).where(
            _a.account_id == account_id, _a.removed_at.is_(None)
        )
    ):
        staff.agents[row.id] = AgentState(*row)
    for row in connection.execute(select(_t.id, _t.name).where(_t.account_id == account_id)):
        staff.team_ids[row.name] = row.id
    for row in connection.execute(
        select(_m.team_id, _m.agent_id, _m.last_turn).where(_m.account_id == account_id).order_by(_m.agent_id)
    ):
        if row.agent_id in staff.agents:
            staff.members.setdefault(row.team_id, {})[row.agent_id] = row.last_turn
    if staff.agents and counted:
        _count(connection, account_id, staff, _start_of_day(now, timezone))
    return staff


def _count(connection: Connection, account_id: str, staff: Staff, day: datetime) -> None:
    mine = (_k.account_id == account_id, _k.assignee_id.is_not(None))
    for agent_id, n in connection.execute(
        select(_k.assignee_id, func.count()).where(*mine, _k.state != "closed").group_by(_k.assignee_id)
    ):
        if agent_id in staff.agents:
            staff.agents[agent_id].open = n
    for agent_id, n in connection.execute(
        select(_k.assignee_id, func.count()).where(*mine, _k.assigned_at >= day).group_by(_k.assignee_id)
    ):
        if agent_id in staff.agents:
            staff.agents[agent_id].today = n


def _start_of_day(now: datetime, timezone: str) -> datetime:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def needs_counts(effects: Iterable[Effect]) -> bool:
    """Whether a strategy will have to choose."""
    return any(isinstance(e, Assign) and not e.agent for e in effects)


def assign(
    effects: Iterable[Effect], staff: Staff, strategies: Mapping[str, Strategy], default_team: str | None, turn: int
) -> Assignment:
    """Carry out Route and Assign; without either the ticket goes unassigned to `default_team` (an id).

    Where no agent of the named teams is at work, the ticket goes unassigned to the first of them. `turn` is the number
    the chosen agent's turn gets.
    """
    for effect in effects:
        if isinstance(effect, Route):
            return Assignment(staff.team_ids.get(effect.team, default_team), None)
        if isinstance(effect, Assign) and effect.agent:
            return _to_agent(effect.agent, staff, default_team)
        if isinstance(effect, Assign):
            return _by_strategy(effect, staff, strategies, default_team, turn)
    return Assignment(default_team, None)


def _to_agent(address: str, staff: Staff, default_team: str | None) -> Assignment:
    agent = staff.by_address(address)
    if agent is None:
        return Assignment(default_team, None)
    teams = staff.teams_of(agent.id)
    return Assignment(default_team if default_team in teams or not teams else teams[0], _taken(agent))


def _by_strategy(
    effect: Assign, staff: Staff, strategies: Mapping[str, Strategy], default_team: str | None, turn: int
) -> Assignment:
    teams = [staff.team_ids[t] for t in effect.teams if t in staff.team_ids] or ([default_team] if default_team else [])
    candidates: dict[str, AgentCandidate] = {}
    for team in teams:
        for agent in staff.of_team(team):
            if agent.status in WORKING and agent.id not in candidates:
                last = staff.members[team][agent.id]
                candidates[agent.id] = AgentCandidate(agent.id, agent.address, agent.open, agent.today, last)
    chosen = strategies[effect.strategy].choose(tuple(candidates.values())) if candidates else None
    if chosen is None:
        return Assignment(teams[0] if teams else default_team, None)
    team = next(t for t in teams if chosen.id in staff.members[t])
    staff.members[team][chosen.id] = turn
    staff.turned.add((team, chosen.id))
    return Assignment(team, _taken(staff.agents[chosen.id]))


def _taken(agent: AgentState) -> AgentState:
    agent.open += 1
    agent.today += 1
    return agent
