"""Who gets a ticket: the decision's effects, and the state of teams as the commit's transaction sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, bindparam, func, select

from gateway.core.decision import Assign, Effect, Route
from gateway.core.ports import AgentCandidate, Strategy
from gateway.store.roster import AgentEntry, Roster
from gateway.store.tables import Membership, Participant, Ticket
from gateway.store.tables.columns import columns

WORKING = frozenset({"available", "in-email"})
"""Statuses whose agents are given mail."""

_m, _k, _p = columns(Membership), columns(Ticket), columns(Participant)

_TURNS = select(_m.team_id, _m.agent_id, _m.last_turn).where(_m.account_id == bindparam("account"))
_IN_WORK = ("open", "pending")
_OPEN = (
    select(_k.assignee_id, func.count())
    .where(
        _k.account_id == bindparam("account"),
        _k.assignee_id.in_(bindparam("agents", expanding=True)),
        _k.state.in_(_IN_WORK),  # not `!= closed`: that would walk along all tickets an agent ever had
    )
    .group_by(_k.assignee_id)
)
_TODAY = (
    select(_k.assignee_id, func.count())
    .where(_k.account_id == bindparam("account"), _k.assigned_at >= bindparam("day"))
    .group_by(_k.assignee_id)
)

_NEWEST = 50
"""How many of a customer's tickets are looked through for the agent who served him: one flood must not make each commit long."""
_HIS_TICKETS = (
    select(_p.ticket_id)
    .where(_p.account_id == bindparam("account"), _p.address_key == bindparam("customer"))
    .order_by(_p.ticket_id.desc())
    .limit(_NEWEST)
    .subquery()
)
_SERVED = (
    select(_k.assignee_id)
    .select_from(
        _HIS_TICKETS.join(Ticket, (_k.account_id == bindparam("account")) & (_k.id == _HIS_TICKETS.c.ticket_id))
    )
    .where(_k.assignee_id.is_not(None))
    .order_by(_k.id.desc())
    .limit(1)
)


@dataclass(slots=True)
class Staff:
    """The agents of one account within this transaction: the counts move as the group's messages are assigned. `served` says
    who last had a ticket of a customer, by canonical address; of those who are asked for.
    """

    roster: Roster
    open: Counter[str] = field(default_factory=Counter)
    today: Counter[str] = field(default_factory=Counter)
    last_turns: dict[tuple[str, str], int] = field(default_factory=dict)
    turned: set[tuple[str, str]] = field(default_factory=set)
    served: dict[str, str] = field(default_factory=dict)

    def agent(self, agent_id: str | None) -> AgentEntry | None:
        return self.roster.agents.get(agent_id or "")

    def by_address(self, address_key: str) -> AgentEntry | None:
        return next((a for a in self.roster.agents.values() if a.address_key == address_key), None)

    def of_team(self, team_id: str | None) -> list[AgentEntry]:
        return [self.roster.agents[i] for i in self.roster.members.get(team_id or "", ())]

    def take(self, agent: AgentEntry) -> AgentEntry:
        """Count one more ticket for an agent."""
        self.open[agent.id] += 1
        self.today[agent.id] += 1
        return agent


@dataclass(frozen=True, slots=True)
class Assignment:
    team_id: str | None
    agent: AgentEntry | None


def load_staff(
    connection: Connection, account_id: str, roster: Roster, day: datetime, strategies: Iterable[Strategy]
) -> Staff:
    """The roster with what these strategies read of its agents; what none of them asks is not counted.

    `day` is when the account's day began.
    """
    staff = Staff(roster)
    strategies = tuple(strategies)
    if not strategies or not roster.agents:
        return staff
    wanted = {count for strategy in strategies for count in strategy.counts}
    account = {"account": account_id}
    staff.last_turns = {(team, agent): turn for team, agent, turn in connection.execute(_TURNS, account)}
    if "open" in wanted:
        agents = sorted(roster.agents)
        staff.open = Counter(dict(map(tuple, connection.execute(_OPEN, account | {"agents": agents}))))
    if "today" in wanted:
        staff.today = Counter(dict(map(tuple, connection.execute(_TODAY, account | {"day": day}))))
    return staff


def load_served(connection: Connection, account_id: str, customers: Iterable[str]) -> dict[str, str]:
    """The agent who last had a ticket of each of these customers (canonical addresses), as far as anybody had one."""
    found: dict[str, str] = {}
    for customer in customers:
        agent = connection.execute(_SERVED, {"account": account_id, "customer": customer}).scalar()
        if agent:
            found[customer] = str(agent)
    return found


def wants_last_agent(effects: Iterable[Effect]) -> bool:
    """An assignment, or what it falls back to, asks for him first."""
    asked = [e for e in effects if isinstance(e, Assign)]
    return any(e.last_agent_first or (e.otherwise and wants_last_agent([e.otherwise])) for e in asked)


def start_of_day(now: datetime, timezone: str) -> datetime:
    """Midnight in the account's time zone."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def strategies_of(effects: Iterable[Effect], strategies: Mapping[str, Strategy]) -> list[Strategy]:
    """The strategies that will have to choose."""
    asked = [e for e in effects if isinstance(e, Assign)]
    asked += [e.otherwise for e in asked if e.otherwise]
    return [strategies[e.strategy] for e in asked if not e.agent]


def assign(
    effects: Iterable[Effect],
    staff: Staff,
    strategies: Mapping[str, Strategy],
    default_team: str | None,
    turn: int,
    customer: str = "",
) -> Assignment:
    """Carry out Route and Assign; without either the ticket goes unassigned to `default_team` (an id).

    Where no agent of the named teams is at work, `otherwise` is tried; where that has nobody either, the ticket goes
    unassigned to the first of the teams. `turn` is the number the chosen agent's turn gets, `customer` the canonical address
    of whoever `last_agent_first` means.
    """
    for effect in effects:
        if isinstance(effect, Route):
            return Assignment(staff.roster.team_ids.get(effect.team, default_team), None)
        if isinstance(effect, Assign) and effect.agent:
            return _to_agent(effect.agent, staff, default_team)
        if isinstance(effect, Assign):
            return _by_strategy(effect, staff, strategies, default_team, turn, customer)
    return Assignment(default_team, None)


def _to_agent(address: str, staff: Staff, default_team: str | None) -> Assignment:
    agent = staff.by_address(address)
    if agent is None:
        return Assignment(default_team, None)
    teams = staff.roster.teams_of(agent.id)
    return Assignment(default_team if default_team in teams or not teams else teams[0], staff.take(agent))


def _by_strategy(
    effect: Assign,
    staff: Staff,
    strategies: Mapping[str, Strategy],
    default_team: str | None,
    turn: int,
    customer: str,
) -> Assignment:
    named = [staff.roster.team_ids[t] for t in effect.teams if t in staff.roster.team_ids]
    teams = named or ([default_team] if default_team else [])
    candidates: dict[str, AgentCandidate] = {}
    for team in teams:
        for agent in staff.of_team(team):
            if agent.status in WORKING and agent.id not in candidates:
                last = staff.last_turns.get((team, agent.id), 0)
                counts = staff.open[agent.id], staff.today[agent.id]
                candidates[agent.id] = AgentCandidate(agent.id, agent.address, *counts, last)
    chosen = candidates.get(staff.served.get(customer, "")) if effect.last_agent_first else None
    if chosen is None and candidates:
        chosen = strategies[effect.strategy].choose(tuple(candidates.values()))
    if chosen is None:
        other = (
            assign([effect.otherwise], staff, strategies, default_team, turn, customer) if effect.otherwise else None
        )
        return other if other and other.agent else Assignment(teams[0] if teams else default_team, None)
    team = next(t for t in teams if chosen.id in staff.roster.members.get(t, ()))
    staff.last_turns[team, chosen.id] = turn
    staff.turned.add((team, chosen.id))
    return Assignment(team, staff.take(staff.roster.agents[chosen.id]))
