"""What a database belongs to: the secret it was made with, the domain that its accounts lie below, the folder of its blobs.

Nodes and commands with another one must not serve: a configuration that was emptied, or a disk that is not mounted, would
have mail refused for good, or kept where nobody finds it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from gateway.core.addresses import canonical
from gateway.core.clock import new_id
from gateway.core.errors import InvalidInput
from gateway.store.blobs import MARK, mark_of, sync_directory
from gateway.store.changes import changing
from gateway.store.engine import Store
from gateway.store.secret import Secret
from gateway.store.tables import Account, Change, MailboxRow
from gateway.store.tables.columns import columns

_c, _a, _b = columns(Change), columns(Account), columns(MailboxRow)


class OtherDomain(InvalidInput):
    """The accounts of this database lie below another domain than the configured one."""


def compare(store: Store, secret: Secret, domain: str) -> str:
    """Bind a new database to the secret and the domain, or raise InvalidInput when it was made with others. Returns the mark
    of its blobs' folder; empty while there is none.
    """
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
    return str(known.blob_mark)


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
    """Whose the database is now: another process may have bound it since it was looked at."""
    _others_wait(connection)
    if _known(connection) is None:
        connection.execute(insert(Change).values(id=1, number=0, secret_fingerprint="", domain="", blob_mark=""))
    for column, value in ((_c.secret_fingerprint, fingerprint), (_c.domain, domain)):
        connection.execute(update(Change).where(column == "").values({column: value}))
    return _known(connection)


def _others_wait(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's writers are alone
        connection.execute(text("SELECT pg_advisory_xact_lock(7301943)"))


def mark_blobs(store: Store, folder: Path) -> None:
    """Make the blobs' folder and tell it from any other that may come to lie under its name. Once: later the folder is there,
    or it is away. Raises OSError while it cannot be made.
    """
    with store.read() as connection:
        if _known(connection).blob_mark:
            return
    folder.mkdir(parents=True, exist_ok=True)
    with store.write() as connection:
        _others_wait(connection)
        if _known(connection).blob_mark:
            return
        connection.execute(update(Change).values(blob_mark=mark_of(folder) or _marked(folder)))


def _marked(folder: Path) -> str:
    mark = new_id()
    with (folder / MARK).open("w", encoding="ascii") as file:
        file.write(f"{mark}\n")
        file.flush()
        os.fsync(file.fileno())
    for place in (folder, folder.parent):
        sync_directory(place)
    return mark


def change_domain(store: Store, domain: str) -> str:
    """The accounts lie below `domain` from now on, and their own mailboxes with them; returns the domain before."""
    with changing(store) as connection:
        before = str(_known(connection).domain)
        own = select(_b.id, _b.account_id, _b.address, _a.name).join_from(MailboxRow, Account, _b.account_id == _a.id)
        for row in connection.execute(own.where(_b.is_account_own)).all():
            address = f"{row.address.rpartition('@')[0]}@{row.name}.{domain}"
            mine = (_b.account_id == row.account_id, _b.id == row.id)
            named = {"address": address, "address_key": canonical(address)}
            connection.execute(update(MailboxRow).where(*mine).values(named))
        connection.execute(update(Change).values(domain=domain))
    return before
