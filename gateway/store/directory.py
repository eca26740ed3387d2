"""What the store knows of accounts, held in memory and dropped when the change number moves."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from gateway.core.place import AgentTeams, Mailbox
from gateway.store.engine import Store
from gateway.store.forwarders import forwarders_of
from gateway.store.named import SYSTEM
from gateway.store.roster import load_roster
from gateway.store.tables import Account, Agent, Change, Domain, MailboxRow, Team
from gateway.store.tables.columns import columns

_a, _d, _g = columns(Account), columns(Domain), columns(Agent)


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One account as the line needs it. `domain` is its gateway domain, `own_receiving` the domains whose MX is us."""

    id: str
    name: str
    domain: str
    company_name: str
    language: str
    timezone: str
    policy_version: int
    mailboxes: tuple[Mailbox, ...]
    own_receiving: frozenset[str]
    own_domains: frozenset[str]
    own_addresses: frozenset[str]
    agent_addresses: frozenset[str]
    by_inbound: dict[str, Mailbox] = field(hash=False)
    by_address: dict[str, Mailbox] = field(hash=False)
    arc_sealers: frozenset[str] = frozenset()
    default_team: str | None = None
    shadow_id: str | None = None
    agent_teams: AgentTeams = ()

    @property
    def default_mailbox(self) -> Mailbox:
        return next((m for m in self.mailboxes if m.is_default), self.mailboxes[0])


class Directory:
    """Accounts by name, and by the domain of a recipient. Hits cost a dictionary look-up; a miss asks the database."""

    def __init__(self, store: Store, gateway_domain: str, hostname: str) -> None:
        self._store = store
        self._domain = gateway_domain
        self._system_domains = frozenset({gateway_domain, hostname})
        self._by_domain: dict[str, AccountEntry] = {}
        self._has_accounts = False
        self._change: int | None = None
        self._lock = threading.Lock()

    def is_system_domain(self, domain: str) -> bool:
        """The gateway's own names, where only postmaster and abuse live."""
        return domain in self._system_domains

    def is_below_gateway_domain(self, domain: str) -> bool:
        return domain.endswith(f".{self._domain}")

    def cached(self, domain: str) -> AccountEntry | None:
        """The account that receives at `domain`, if it is known already; no I/O."""
        return self._by_domain.get(domain)

    def look_up(self, domain: str) -> AccountEntry | None:
        """The account that receives at `domain`, asking the database where needed. Raises StoreUnavailable."""
        if found := self._by_domain.get(domain):
            return found
        # what is read before the change number moves lands in the dictionary that `refresh` throws away
        generation = self._by_domain
        with self._store.read() as connection:
            name = self._account_name(connection, domain)
            entry = self._load(connection, name) if name else None
        if entry:
            generation[domain] = entry
        return entry

    def has_accounts(self) -> bool:
        """Any but the operator's. None are there before the first is added, and where the disk with the database is not
        mounted and an empty one was made in its place. Raises StoreUnavailable.
        """
        if not self._has_accounts:
            with self._store.read() as connection:
                others = select(_a.id).where(_a.name != SYSTEM).limit(1)
                self._has_accounts = connection.execute(others).first() is not None
        return self._has_accounts

    def account(self, name: str) -> AccountEntry | None:
        """An account by its name. Raises StoreUnavailable."""
        return self.look_up(self.domain_of(name))

    def domain_of(self, account_name: str) -> str:
        return f"{account_name}.{self._domain}"

    def _account_name(self, connection: Connection, domain: str) -> str | None:
        label, dot, rest = domain.partition(".")
        if dot and rest == self._domain:
            return label
        owner = select(_a.name).join_from(Account, Domain, _a.id == _d.account_id).where(_d.domain == domain)
        found: str | None = connection.execute(owner).scalar()
        return found

    def _load(self, connection: Connection, name: str) -> AccountEntry | None:
        row = connection.execute(select(*_a).where(_a.name == name)).first()
        if row is None:
            return None
        mailboxes, roster = _mailboxes(connection, row.id), load_roster(connection, row.id)
        domains = frozenset(connection.execute(select(_d.domain).where(_d.account_id == row.id)).scalars())
        agents = frozenset(
            connection.execute(select(_g.address_key).where(_g.account_id == row.id, _g.removed_at.is_(None))).scalars()
        )
        gateway_domain = self.domain_of(row.name)
        inbound = {f"{m.inbound}@{gateway_domain}" for m in mailboxes if m.inbound}
        return AccountEntry(
            id=row.id,
            name=row.name,
            domain=gateway_domain,
            company_name=row.company_name,
            language=row.language,
            timezone=row.timezone,
            policy_version=row.policy_version,
            mailboxes=mailboxes,
            own_receiving=domains,
            own_domains=frozenset({m.domain for m in mailboxes}) | domains | {gateway_domain},
            own_addresses=frozenset({m.address for m in mailboxes}) | inbound,
            agent_addresses=agents,
            by_inbound={m.inbound: m for m in mailboxes if m.inbound},
            by_address={m.address: m for m in mailboxes},
            arc_sealers=frozenset(row.arc_sealers),
            default_team=roster.team_name(roster.default_team),
            shadow_id=row.shadow_id,
            agent_teams=roster.agent_teams(),
        )

    def refresh(self) -> bool:
        """Read the change number; drop everything when it moved, and say so. Raises StoreUnavailable."""
        with self._store.read() as connection:
            number = connection.execute(select(columns(Change).number)).scalar() or 0
        with self._lock:
            # the first reading moves too: what was looked up before it may be older than any number says
            moved = number != self._change
            self._change = number
            if moved:
                self._by_domain = {}
        return moved


def _mailboxes(connection: Connection, account_id: str) -> tuple[Mailbox, ...]:
    m, t = columns(MailboxRow), columns(Team)
    rows = connection.execute(
        select(m.id, m.address_key, m.name, m.inbound, m.language, t.name.label("team"), m.is_default)
        .join_from(MailboxRow, Team, (m.account_id == t.account_id) & (m.team_id == t.id), isouter=True)
        .where(m.account_id == account_id, m.removed_at.is_(None))
        .order_by(m.created_at, m.id)
    )
    known = forwarders_of(connection, account_id)
    return tuple(
        Mailbox(r.id, r.address_key, r.name, r.inbound, r.language, r.team, r.is_default, known.get(r.id, ()))
        for r in rows
    )
