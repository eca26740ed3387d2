"""Admin changes: each is one transaction that also raises the change number, so that every process sees it within 2 s."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.core.addresses import canonical
from gateway.core.clock import new_id, now
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.store import named
from gateway.store.default_team import default_team
from gateway.store.engine import Store
from gateway.store.tables import (
    Account,
    ApiKey,
    Change,
    Domain,
    MailboxRow,
    Outbox,
    PolicyVersion,
    Team,
)
from gateway.store.tables.columns import columns
from gateway.store.taken import (
    address_is_free,
    domain_is_free,
    free,
    inbound_is_free,
    no_admin_reads_it,
    not_received_by_another,
    not_received_here,
)

_a, _d, _b, _o = columns(Account), columns(Domain), columns(MailboxRow), columns(Outbox)
_v, _k = columns(PolicyVersion), columns(ApiKey)

Values = dict[str, Any]


@contextmanager
def changing(store: Store) -> Iterator[Connection]:
    """A write transaction whose end other processes notice. The account rows are taken before anything they guard."""
    with store.write() as connection:
        raise_change(connection)
        yield connection


def raise_change(connection: Connection) -> None:
    """Let every process drop what it remembers, once this transaction is committed. Before any account's row is taken."""
    changed = connection.execute(update(Change).values(number=columns(Change).number + 1))
    if not changed.rowcount:
        connection.execute(insert(Change).values(id=1, number=1, secret_fingerprint=""))


# --- accounts ---


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account begins with; `dkim_key` is encrypted already."""

    id: str
    name: str
    company_name: str
    dkim_selector: str
    dkim_key: bytes
    default_address: str
    default_team: str = "support"
    domains: tuple[str, ...] = ()
    listen_only: bool = False
    first_number: int = 1
    number_prefix: str = ""
    language: str = "en"
    timezone: str = "UTC"


def add_account(store: Store, new: NewAccount) -> None:
    """With its team and its default mailbox, which claims no local part. Raises InvalidInput when a name is taken."""
    with changing(store) as connection:
        free(connection, select(_a.id).where(_a.name == new.name), f"account {new.name} exists already")
        for domain in new.domains:
            domain_is_free(connection, new.id, domain)
        at = now()
        team_id = new_id()
        connection.execute(
            insert(Account).values(
                id=new.id, name=new.name, company_name=new.company_name, language=new.language, timezone=new.timezone,
                listen_only=new.listen_only, number_prefix=new.number_prefix, next_number=new.first_number,
                next_agent_number=1, turn=0, policy_version=0, dkim_selector=new.dkim_selector,
                dkim_key=new.dkim_key, created_at=at,
            )
        )  # fmt: skip
        for domain in new.domains:
            connection.execute(insert(Domain).values(domain=domain, account_id=new.id))
        connection.execute(insert(Team).values(account_id=new.id, id=team_id, name=new.default_team))
        connection.execute(
            insert(MailboxRow).values(
                account_id=new.id, id=new_id(), address=new.default_address,
                address_key=canonical(new.default_address), name=new.company_name, inbound=None, language=None,
                team_id=team_id, is_default=True, is_account_own=True, created_at=at,
            )
        )  # fmt: skip


def has_account(store: Store, name: str) -> bool:
    with store.read() as connection:
        return connection.execute(select(_a.id).where(_a.name == name)).first() is not None


def edit_account(
    store: Store, account_id: str, values: Values, *, domains: Collection[str] = (), no_domains: Collection[str] = ()
) -> None:
    """`domains` of its own are added, `no_domains` taken away. Raises InvalidInput, UnknownThing."""
    with changing(store) as connection:
        for domain in no_domains:
            mine = (_d.account_id == account_id, _d.domain == domain)
            if not connection.execute(delete(Domain).where(*mine)).rowcount:
                raise UnknownThing(f"{domain} is no domain of this account's own; `gateway account show` names them")
        for address in values.get("admins", ()):
            not_received_here(connection, address, "name in --admins where the admin reads")
        if values:
            connection.execute(update(Account).where(_a.id == account_id).values(**values))
        for domain in domains:  # after the admins: those of before may have left for it
            domain_is_free(connection, account_id, domain)
            connection.execute(insert(Domain).values(domain=domain, account_id=account_id))


def go_live(store: Store, account_id: str) -> int:
    """End listen-only: what was withheld is dropped (cancelled, visible). Returns how many notices that were."""
    with changing(store) as connection:
        connection.execute(update(Account).where(_a.id == account_id).values(listen_only=False))
        dropped = connection.execute(
            update(Outbox)
            .where(_o.account_id == account_id, _o.state == "withheld")
            .values(state="cancelled", settled_at=now(), last_reply="dropped when the account went live")
        )
    return dropped.rowcount


def one_row(connection: Connection, query: Any, missing: str) -> Any:
    row = connection.execute(query).first()
    if row is None:
        raise UnknownThing(missing)
    return row


# --- mailboxes ---


@dataclass(frozen=True, slots=True)
class NewMailbox:
    address: str
    name: str
    inbound: str | None
    language: str | None = None
    team: str | None = None
    default: bool = False


def add_mailbox(store: Store, account_id: str, new: NewMailbox) -> None:
    """A default one without a team has that of the default so far. Raises InvalidInput when the address or the inbound local
    part is taken, or an admin reads there, UnknownThing for an unknown team.
    """
    key = canonical(new.address)
    with changing(store) as connection:
        address_is_free(connection, account_id, key)
        not_received_by_another(connection, account_id, key)
        no_admin_reads_it(connection, key)
        if new.inbound:
            inbound_is_free(connection, account_id, new.inbound, key)
        team_id = None if new.team is None else named.team_id(connection, account_id, new.team)
        if new.default:
            team_id = team_id or default_team(connection, account_id)
            connection.execute(update(MailboxRow).where(_b.account_id == account_id).values(is_default=False))
        connection.execute(
            insert(MailboxRow).values(
                account_id=account_id, id=new_id(), address=new.address, address_key=key, name=new.name,
                inbound=new.inbound, language=new.language, team_id=team_id, is_default=new.default,
                is_account_own=False, created_at=now(),
            )
        )  # fmt: skip


def edit_mailbox(store: Store, account_id: str, address: str, values: Values, *, team: str | None = None) -> None:
    """As `add_mailbox`. Raises UnknownThing, InvalidInput when the inbound local part is taken."""
    with changing(store) as connection:
        mine = (_b.account_id == account_id, _b.address_key == canonical(address), _b.removed_at.is_(None))
        row = one_row(connection, select(_b.team_id).where(*mine), f"there is no mailbox {address} in this account")
        if team is not None:
            values = values | {"team_id": named.team_id(connection, account_id, team)}
        if values.get("inbound"):
            inbound_is_free(connection, account_id, values["inbound"], canonical(address))
        if values.get("is_default"):
            values = {"team_id": row.team_id or default_team(connection, account_id)} | values
            connection.execute(update(MailboxRow).where(_b.account_id == account_id).values(is_default=False))
        connection.execute(update(MailboxRow).where(*mine).values(**values))


# --- policies ---


class PublishedMeanwhile(InvalidInput):
    """Another version became the live one than the one that a new version was held against. Nothing was published."""

    def __init__(self, live: int) -> None:
        super().__init__(f"version {live} was published meanwhile, so this one was not; do it again")


def publish_policy(
    store: Store,
    account_id: str,
    text: str,
    *,
    note: str = "",
    author: str = "",
    rolled_back_from: int | None = None,
    probation: bool = False,
    team: str = "",
    instead_of: int | None = None,
) -> int:
    """A new immutable version becomes the live one; returns its number. The text was checked by the caller.

    `team`: whose rules its manager publishes by it; empty for a whole document. `instead_of`: the version that the text was
    made of, or held against. Raises PublishedMeanwhile when that one is not live any more: what was published since would be
    lost.
    """
    with changing(store) as connection:
        live = int(connection.execute(select(_a.policy_version).where(_a.id == account_id)).scalar() or 0)
        if instead_of is not None and live != instead_of:
            raise PublishedMeanwhile(live)
        return insert_version(
            connection, account_id, text,
            note=note, author=author, rolled_back_from=rolled_back_from, probation=probation, team=team,
        )  # fmt: skip


def insert_version(
    connection: Connection,
    account_id: str,
    text: str,
    *,
    note: str,
    author: str,
    rolled_back_from: int | None = None,
    probation: bool = False,
    team: str = "",
) -> int:
    """`publish_policy`, within a transaction of `changing`: no other can come between the number and the row."""
    newest = connection.execute(select(func.max(_v.version)).where(_v.account_id == account_id)).scalar()
    version = int(newest or 0) + 1
    connection.execute(
        insert(PolicyVersion).values(
            account_id=account_id, version=version, text=text, note=note, author=author,
            rolled_back_from=rolled_back_from, created_at=now(), probation=probation, team=team,
        )
    )  # fmt: skip
    connection.execute(update(Account).where(_a.id == account_id).values(policy_version=version))
    return version


# --- keys ---


def add_key(store: Store, account_id: str, *, scope: str, digest: str, note: str = "", team: str | None = None) -> str:
    """Returns the key's id; the key itself never comes here. Raises UnknownThing for an unknown team."""
    key_id = new_id()
    with changing(store) as connection:
        team_id = None if team is None else named.team_id(connection, account_id, team)
        connection.execute(
            insert(ApiKey).values(
                id=key_id,
                account_id=account_id,
                team_id=team_id,
                scope=scope,
                digest=digest,
                note=note,
                created_at=now(),
                revoked_at=None,
            )
        )
    return key_id


def revoke_key(store: Store, account_id: str, key_id: str) -> None:
    """Raises UnknownThing."""
    with changing(store) as connection:
        mine = (_k.account_id == account_id, _k.id == key_id, _k.revoked_at.is_(None))
        if not connection.execute(update(ApiKey).where(*mine).values(revoked_at=now())).rowcount:
            raise UnknownThing(f"there is no valid key {key_id} in this account; `gateway key list` shows them")
