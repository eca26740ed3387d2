"""Accounts that come to lie below another domain: their addresses there, and what would be in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from gateway.core.addresses import canonical
from gateway.core.errors import InvalidInput
from gateway.store.changes import changing
from gateway.store.engine import Store
from gateway.store.tables import Account, Agent, Change, Domain, MailboxRow, PolicyVersion
from gateway.store.tables.columns import columns

_c, _a, _b, _d = columns(Change), columns(Account), columns(MailboxRow), columns(Domain)
_g, _v = columns(Agent), columns(PolicyVersion)


@dataclass(frozen=True, slots=True)
class Moved:
    """The domain before, and the accounts whose live policy still speaks of it."""

    before: str
    policies: tuple[str, ...]


def move_accounts(store: Store, domain: str) -> Moved:
    """All accounts lie below `domain` from now on; mailboxes at their gateway domains go with them. Raises InvalidInput naming
    what is in the way.
    """
    with changing(store) as connection:
        before = str(connection.execute(select(_c.domain)).scalar_one())
        if before != domain:
            if found := list(_in_the_way(connection, before, domain)):
                raise InvalidInput(f"the accounts cannot lie below {domain}: {'; '.join(found)}")
            for account_id, mailbox_id, address in _moving(connection, before, domain):
                mine = (_b.account_id == account_id, _b.id == mailbox_id)
                named = {"address": address, "address_key": canonical(address)}
                connection.execute(update(MailboxRow).where(*mine).values(named))
            connection.execute(update(Change).values(domain=domain))
        return Moved(before, tuple(_speaking_of(connection, before)) if before != domain else ())


def _moving(connection: Connection, before: str, domain: str) -> list[tuple[str, str, str]]:
    """Account, mailbox, and its address below `domain`."""
    mailboxes = select(_b.account_id, _b.id, _b.address, _a.name).join_from(MailboxRow, Account, _b.account_id == _a.id)
    return [
        (r.account_id, r.id, f"{r.address.rpartition('@')[0]}@{r.name}.{domain}")
        for r in connection.execute(mailboxes.where(_b.removed_at.is_(None)))
        if r.address.rpartition("@")[2] == f"{r.name}.{before}"
    ]


def _in_the_way(connection: Connection, before: str, domain: str) -> Iterator[str]:
    """What nobody could add once the accounts lie there."""

    def is_ours(name: str) -> bool:
        return name == domain or name.endswith(f".{domain}")

    for own in connection.execute(select(_d.domain).order_by(_d.domain)).scalars():
        if is_ours(own):
            yield f"{own} is an account's own domain"
    agents = connection.execute(select(_g.address_key).where(_g.removed_at.is_(None))).scalars()
    admins = (a for some in connection.execute(select(_a.admins)).scalars() for a in some)
    for who, addresses in (("agent", agents), ("admin", admins)):
        for address in sorted(addresses):
            if is_ours(canonical(address).rpartition("@")[2]):
                yield f"the {who} {address} would read what comes back to this gateway"
    there = set(connection.execute(select(_b.address_key).where(_b.removed_at.is_(None))).scalars())
    for _, _, address in _moving(connection, before, domain):
        if canonical(address) in there:
            yield f"{address} is a mailbox already"


def _speaking_of(connection: Connection, domain: str) -> list[str]:
    live = select(_a.name, _v.text).join_from(
        Account, PolicyVersion, (_v.account_id == _a.id) & (_v.version == _a.policy_version)
    )
    return [r.name for r in connection.execute(live.order_by(_a.name)) if f".{domain}" in r.text]
