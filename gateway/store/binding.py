"""What a database belongs to: the secret it was made with, the domain that its accounts lie below, the folder of its blobs.

Nodes and commands with another one must not serve: a configuration that was emptied, or a disk that is not mounted, would
have mail refused for good, or kept where nobody finds it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from gateway.core.errors import InvalidInput
from gateway.store.engine import Store
from gateway.store.secret import Secret
from gateway.store.tables import Account, Change, MailboxRow
from gateway.store.tables.columns import columns

_c, _a, _b = columns(Change), columns(Account), columns(MailboxRow)


class OtherDomain(InvalidInput):
    """The accounts of this database lie below another domain than the configured one."""


def compare(store: Store, secret: Secret, domain: str) -> None:
    """Bind a new database to the secret and the domain, or raise InvalidInput when it was made with others."""
    with store.read() as connection:
        known = _known(connection)
    if known is None or not (known.secret_fingerprint and known.domain):
        with store.write() as connection:
            known = _bound(connection, secret.fingerprints()[0], domain)
    if known.secret_fingerprint not in secret.fingerprints():
        raise InvalidInput(
            "the secret key file is not the one this database was made with; copy secret_key_file from another node "
            "or from the backup"
        )
    _require_domain(known, domain)


def require_domain(store: Store, domain: str) -> None:
    """As `compare`, for who needs no secret; what is not bound yet stays so. Raises OtherDomain."""
    with store.read() as connection:
        known = _known(connection)
    if known and known.domain:
        _require_domain(known, domain)


def blob_mark(store: Store) -> str:
    """Of the blobs' folder; empty while there is none."""
    with store.read() as connection:
        known = _known(connection)
    return str(known.blob_mark) if known else ""


def _require_domain(known: Any, domain: str) -> None:
    if known.domain != domain:
        raise OtherDomain(
            f"the accounts of this database lie below {known.domain}, and the configuration says {domain}; write "
            f'domain = "{known.domain}", or run `gateway db domain` to have them below {domain} from now on'
        )


def _known(connection: Connection) -> Any:
    return connection.execute(select(_c.secret_fingerprint, _c.domain, _c.blob_mark)).first()


def _bound(connection: Connection, fingerprint: str, domain: str) -> Any:
    """Whose the database is now: another process may have bound it since it was looked at. One of an earlier release that has
    accounts knows their domain by their own mailboxes, whatever the configuration says by now.
    """
    others_wait(connection)
    if _known(connection) is None:
        connection.execute(insert(Change).values(id=1, number=0, secret_fingerprint="", domain="", blob_mark=""))
    for column, value in ((_c.secret_fingerprint, fingerprint), (_c.domain, _domain_of_accounts(connection) or domain)):
        connection.execute(update(Change).where(column == "").values({column: value}))
    return _known(connection)


def _domain_of_accounts(connection: Connection) -> str:
    """Empty where there are none."""
    own = select(_b.address_key, _a.name).join_from(MailboxRow, Account, _b.account_id == _a.id)
    row = connection.execute(own.where(_b.is_account_own, _b.removed_at.is_(None)).limit(1)).first()
    return str(row.address_key.rpartition("@")[2].removeprefix(f"{row.name}.")) if row else ""


def others_wait(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's writers are alone
        connection.execute(text("SELECT pg_advisory_xact_lock(7301943)"))
