"""Which secret a database was made with: nodes with another one must not serve."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, text, update

from gateway.core.errors import InvalidInput
from gateway.store.engine import Store
from gateway.store.secret import Secret
from gateway.store.tables import Change
from gateway.store.tables.columns import columns


def compare(store: Store, secret: Secret) -> None:
    """Bind a new database to the secret, or raise InvalidInput when it was made with another."""
    with store.read() as connection:
        known = _known(connection)
    if not known:
        with store.write() as connection:
            known = _bound(connection, secret.fingerprints()[0])
    if known not in secret.fingerprints():
        raise InvalidInput(
            "the secret key file is not the one this database was made with; copy secret_key_file from another node "
            "or from the backup"
        )


def _known(connection: Connection) -> str | None:
    return connection.execute(select(columns(Change).secret_fingerprint)).scalar()


def _bound(connection: Connection, fingerprint: str) -> str | None:
    """Whose the database is now: another process may have bound it since it was looked at."""
    if connection.dialect.name == "postgresql":  # SQLite's writers are alone
        connection.execute(text("SELECT pg_advisory_xact_lock(7301943)"))
    bound = connection.execute(
        update(Change).where(columns(Change).secret_fingerprint == "").values(secret_fingerprint=fingerprint)
    )
    if not bound.rowcount and _known(connection) is None:
        connection.execute(insert(Change).values(id=1, number=0, secret_fingerprint=fingerprint))
    return _known(connection)
