"""Which secret a database was made with: nodes with another one must not serve."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from gateway.core.errors import InvalidInput
from gateway.store.engine import Store
from gateway.store.secret import Secret
from gateway.store.tables import Change
from gateway.store.tables.columns import columns


def compare(store: Store, secret: Secret) -> None:
    """Bind a new database to the secret, or raise InvalidInput when it was made with another."""
    change = columns(Change)
    with store.read() as connection:
        known = connection.execute(select(change.secret_fingerprint)).scalar()
    if known in secret.fingerprints():
        return
    if known:
        raise InvalidInput(
            "the secret key file is not the one this database was made with; copy secret_key_file from another node "
            "or from the backup"
        )
    with store.write() as connection:
        first = secret.fingerprints()[0]
        bound = connection.execute(
            update(Change).where(change.secret_fingerprint == "").values(secret_fingerprint=first)
        )
        if known is None and not bound.rowcount:
            connection.execute(insert(Change).values(id=1, number=0, secret_fingerprint=first))
