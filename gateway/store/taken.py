"""What can be had once: names, domains, addresses. Asked within the transaction that takes them; the cure is named."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from gateway.core.addresses import canonical
from gateway.core.errors import InvalidInput
from gateway.store.tables import Account, Agent, Domain, MailboxRow
from gateway.store.tables.columns import columns

_a, _d, _b, _g = columns(Account), columns(Domain), columns(MailboxRow), columns(Agent)


def free(connection: Connection, query: Any, taken: str) -> None:
    if connection.execute(query).first() is not None:
        raise InvalidInput(taken)


def domain_is_free(connection: Connection, account_id: str, domain: str) -> None:
    """All mail at it becomes this account's: nobody else's mailbox may be there, and no agent or admin, who would read
    nothing.
    """
    free(connection, select(_d.domain).where(_d.domain == domain), f"domain {domain} belongs to an account already")
    mailboxes = (_b.address_key.endswith(f"@{domain}", autoescape=True), _b.removed_at.is_(None))
    query = select(_b.address).where(*mailboxes, _b.account_id != account_id).order_by(_b.address_key)
    if address := connection.execute(query).scalar():
        raise InvalidInput(
            f"--domain {domain}: {address} is a mailbox of another account already, and its mail would go to this one; "
            "remove that mailbox first, or name another domain"
        )
    agents = (_g.address_key.endswith(f"@{domain}", autoescape=True), _g.removed_at.is_(None))
    if address := connection.execute(select(_g.address).where(*agents).order_by(_g.address_key)).scalar():
        raise InvalidInput(
            f"--domain {domain}: the agent {address} reads mail there, and a notice would come straight back to this "
            "gateway; name a domain such as mail.acme.example"
        )
    everybody = (address for _, address in _admins(connection))
    if address := min((a for a in everybody if canonical(a).endswith(f"@{domain}")), default=None):
        raise InvalidInput(
            f"--domain {domain}: the admin {address} reads mail there, and a digest would come straight back to this "
            "gateway; name a domain such as mail.acme.example, or change --admins first"
        )


def not_received_here(connection: Connection, address: str, cure: str) -> None:
    """People read what we send them: an agent or an admin has no address whose mail comes back to us."""
    key = canonical(address)
    domain = key.rpartition("@")[2]
    ours = select(_d.domain).where(_d.domain == domain)
    free(connection, ours, f"{address}: mail at {domain} comes to this gateway; {cure}")
    mailbox = select(_b.id).where(_b.address_key == key, _b.removed_at.is_(None))
    free(connection, mailbox, f"{address}: that is a mailbox, whose mail comes to this gateway; {cure}")


def no_admin_reads_it(connection: Connection, key: str) -> None:
    """A digest to an admin of any account would open a ticket in a mailbox of that address."""
    if account := next((name for name, address in _admins(connection) if canonical(address) == key), None):
        raise InvalidInput(
            f"{key}: an admin of the account {account} reads mail there, and a digest would come straight back to this "
            f"gateway; name another address, or change the admins first: gateway account edit {account} --admins ADDRESSES"
        )


def _admins(connection: Connection) -> list[tuple[str, str]]:
    """Each with the name of the account."""
    rows = connection.execute(select(_a.name, _a.admins).order_by(_a.name))
    return [(row.name, address) for row in rows for address in row.admins]


def not_received_by_another(connection: Connection, account_id: str, key: str) -> None:
    """A mailbox at a domain that another account receives would never get its mail."""
    domain = key.rpartition("@")[2]
    owner = select(_a.name).join_from(Account, Domain, _a.id == _d.account_id)
    if name := connection.execute(owner.where(_d.domain == domain, _a.id != account_id)).scalar():
        cure = f"add it there, or take the domain away: gateway account edit {name} --no-domain {domain}"
        raise InvalidInput(
            f"{key}: mail at {domain} comes to the account {name} already, which has that domain; {cure}"
        )


def inbound_is_free(connection: Connection, account_id: str, inbound: str, for_key: str) -> None:
    others = (_b.account_id == account_id, _b.address_key != for_key, _b.removed_at.is_(None))
    if holder := connection.execute(select(_b.address).where(*others, _b.inbound == inbound)).scalar():
        cure = "name another with --inbound LOCALPART"
        raise InvalidInput(f"mail to {inbound}@ is for the mailbox {holder} already; {cure}")


def address_is_free(connection: Connection, account_id: str, key: str, *, for_agent: bool = False) -> None:
    """An address belongs to one account, and is a mailbox or an agent, never both."""
    never_both = "an address is a mailbox or an agent, never both"
    mailbox = select(_b.account_id).where(_b.address_key == key, _b.removed_at.is_(None))
    if owner := connection.execute(mailbox).scalar():
        why = never_both if for_agent else _held_by(owner == account_id, f"`gateway mailbox edit {key}`")
        raise InvalidInput(f"{key} is a mailbox already; {why}")
    agent = select(_g.account_id).where(_g.address_key == key, _g.removed_at.is_(None))
    if owner := connection.execute(agent).scalar():
        if not for_agent:
            raise InvalidInput(f"{key} is an agent's address; {never_both}")
        raise InvalidInput(f"{key} is an agent already; {_held_by(owner == account_id, f'`gateway agent edit {key}`')}")


def _held_by(is_ours: bool, edit: str) -> str:
    return f"{edit} changes it" if is_ours else "of another account: an address belongs to one"
