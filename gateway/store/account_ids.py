"""An account by the name that people give it."""

from __future__ import annotations

from sqlalchemy import select

from gateway.core.errors import UnknownThing
from gateway.store.engine import Store
from gateway.store.tables import Account
from gateway.store.tables.columns import columns

_a = columns(Account)


def account_id(store: Store, name: str) -> str:
    """Raises UnknownThing."""
    with store.read() as connection:
        found = connection.execute(select(_a.id).where(_a.name == name)).scalar()
        if found is None:
            names = ", ".join(connection.execute(select(_a.name).order_by(_a.name)).scalars()) or "none yet"
            raise UnknownThing(f"there is no account {name!r}; accounts: {names}")
    return str(found)
