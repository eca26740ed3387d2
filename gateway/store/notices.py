"""Who is told of a committed message: the usual notices, the policy's own, and the acknowledgement within its budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select

from gateway.core.addresses import canonical
from gateway.core.decision import Acknowledge, Decision, Notify, TicketChoice
from gateway.core.forwarded import KIND as FORWARD
from gateway.core.message import Address
from gateway.core.notice import NoticeKind
from gateway.store.assignment import Staff
from gateway.store.roster import AgentEntry
from gateway.store.tables import Outbox
from gateway.store.tables.columns import columns

ACKNOWLEDGEMENTS_PER_HOUR = 2
ACKNOWLEDGEMENTS_PER_DAY = 6
ACKNOWLEDGEMENTS_PER_ACCOUNT_HOUR = 600
"""Budgets of automatic answers (RFC 3834 section 2): per address and hour, per address and day, per account and hour."""

NOTICES_PER_HOUR = 20
"""Notices an hour to one recipient that automatic mail, or an agent's own, may cause: two agents' automatic answers to
our notices would go on for ever (RFC 3834 section 2; not all of them say that they are automatic)."""

_o = columns(Outbox)


@dataclass(frozen=True, slots=True)
class Told:
    """One outbox row to be: what kind, to whom; `template` where another one than the kind's is wanted."""

    kind: str
    address: str
    name: str = ""
    agent_id: str | None = None
    template: str = ""


@dataclass(slots=True)
class Budget:
    """Acknowledgements sent so far, per address and in all; moves as the group's messages are answered."""

    hour: dict[str, int] = field(default_factory=dict)
    day: dict[str, int] = field(default_factory=dict)
    account_hour: int = 0

    def spend(self, address_key: str) -> str:
        """Count one acknowledgement; the reason when the budget does not allow it, else empty."""
        if self.hour.get(address_key, 0) >= ACKNOWLEDGEMENTS_PER_HOUR:
            return "budget: two an hour to one address"
        if self.day.get(address_key, 0) >= ACKNOWLEDGEMENTS_PER_DAY:
            return "budget: six a day to one address"
        if self.account_hour >= ACKNOWLEDGEMENTS_PER_ACCOUNT_HOUR:
            return "budget: the account's acknowledgements of this hour are spent"
        self.hour[address_key] = self.hour.get(address_key, 0) + 1
        self.day[address_key] = self.day.get(address_key, 0) + 1
        self.account_hour += 1
        return ""


_ACKNOWLEDGED = select(_o.recipient_key, _o.created_at).where(
    _o.account_id == bindparam("account"),
    _o.kind == NoticeKind.ACKNOWLEDGEMENT.value,
    _o.recipient_key.in_(bindparam("addresses", expanding=True)),
    _o.created_at > bindparam("day"),
)


def load_budget(
    connection: Connection, account_id: str, addresses: Iterable[str], now: datetime, account_hour: int
) -> Budget:
    """What these addresses were sent in the last hour and day. `account_hour` is what the account sent in this clock hour:
    its row counts it, since to count the notices would take longer with each that was ever sent.
    """
    budget = Budget(account_hour=account_hour)
    wanted = sorted(set(addresses))
    if not wanted:
        return budget
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    asked = {"account": account_id, "addresses": wanted, "day": day}
    for key, at in connection.execute(_ACKNOWLEDGED, asked):
        budget.day[key] = budget.day.get(key, 0) + 1
        if at > hour:
            budget.hour[key] = budget.hour.get(key, 0) + 1
    return budget


def told_lately(connection: Connection, account_id: str, recipients: Iterable[str], now: datetime) -> dict[str, int]:
    """Notices owed to each of these in the last hour."""
    counted = (
        select(_o.recipient_key, func.count().label("n"))
        .where(_o.account_id == account_id, _o.kind.in_([FORWARD, *(k.value for k in NoticeKind if not k.to_customer)]))
        .where(_o.recipient_key.in_(sorted(set(recipients))), _o.created_at > now - timedelta(hours=1))
        .group_by(_o.recipient_key)
    )
    return {row.recipient_key: row.n for row in connection.execute(counted)}


def who_is_told(
    decision: Decision, author: Address | None, staff: Staff, team_id: str | None, assignee: AgentEntry | None
) -> list[Told]:
    """The notices to agents and others; nobody is told twice, and nobody of what they wrote themselves. Former agents whom a rule
    still names are among them, for the trace (`without_former`), but put nobody else in the dark by `notify_only`.
    """
    wanted = [e for e in decision.effects if isinstance(e, Notify)]
    told: list[Told] = []
    former = staff.roster.former
    if not any(e.only and (not e.to or any(canonical(to) not in former for to in e.to)) for e in wanted):
        told += _usual(decision, staff, team_id, assignee)
    kind = NoticeKind.NEW_TICKET if decision.ticket is TicketChoice.NEW else NoticeKind.CUSTOMER_ANSWERED
    for effect in wanted:
        for to in effect.to:
            told += [replace(t, template=effect.template) for t in _named(to, kind, staff, assignee)]
    own = canonical(author.address) if author else ""
    # who is told in several ways is told once: as the first rule with a template says, else as usual
    by_worth = [*(t for t in told if t.template), *(t for t in told if not t.template)]
    chosen = {canonical(t.address): t for t in reversed(by_worth)}
    return [chosen[key] for key in dict.fromkeys(canonical(t.address) for t in told) if key != own]


def without_former(told: Iterable[Told], former: frozenset[str]) -> tuple[list[Told], list[str]]:
    """Who is told, and the addresses of those who are not: a rule that was not changed must not tell customers' mail to somebody
    who has left (`assign` finds nobody there either).
    """
    told = list(told)
    gone = [t.address for t in told if canonical(t.address) in former]
    return [t for t in told if t.address not in gone], gone


def _usual(decision: Decision, staff: Staff, team_id: str | None, assignee: AgentEntry | None) -> list[Told]:
    if decision.ticket is TicketChoice.NEW and assignee:
        return [_agent(NoticeKind.ASSIGNED, assignee)]
    kind = NoticeKind.NEW_TICKET if decision.ticket is TicketChoice.NEW else NoticeKind.CUSTOMER_ANSWERED
    readers = [assignee] if assignee else staff.of_team(team_id)
    return [_agent(kind, a) for a in readers]


def _named(to: str, kind: NoticeKind, staff: Staff, assignee: AgentEntry | None) -> list[Told]:
    if to == "assignee":
        return [_agent(kind, assignee)] if assignee else []
    if to.startswith("team:"):
        return [_agent(kind, a) for a in staff.of_team(staff.roster.team_ids.get(to.removeprefix("team:")))]
    agent = staff.by_address(canonical(to))
    return [_agent(kind, agent)] if agent else [Told(kind, to)]


def _agent(kind: NoticeKind, agent: AgentEntry) -> Told:
    return Told(kind, agent.address, agent.name, agent.id)


def wants_acknowledgement(decision: Decision) -> bool:
    return any(isinstance(e, Acknowledge) for e in decision.effects)
