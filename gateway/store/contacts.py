"""Contacts: the people an account knows. What is not named of one that is known stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from gateway.core.addresses import canonical
from gateway.core.clock import new_id, now
from gateway.store.changes import Values, changing
from gateway.store.engine import Store
from gateway.store.tables import ContactRow
from gateway.store.tables.columns import columns

_c = columns(ContactRow)


@dataclass(frozen=True, slots=True)
class NewContact:
    """What is said of a person. None: nothing is said of it; an empty text takes away what was known. `tags` are added to
    those there are, `no_tags` taken from them.
    """

    address: str
    name: str | None = None
    language: str | None = None
    company: str | None = None
    tags: tuple[str, ...] = ()
    no_tags: tuple[str, ...] = ()


def add_contacts(store: Store, account_id: str, contacts: list[NewContact]) -> tuple[int, int]:
    """Add, or bring up to date where the address is known; all or none. Returns (added, updated)."""
    added = 0
    with changing(store) as connection:
        for one in contacts:
            key = canonical(one.address)
            mine = (_c.account_id == account_id, _c.address_key == key)
            known = connection.execute(select(_c.tags).where(*mine)).first()
            values = _said(one, known.tags if known else ())
            if known:
                connection.execute(update(ContactRow).where(*mine).values(**values))
                continue
            added += 1
            fixed = {"account_id": account_id, "id": new_id(), "address": one.address, "address_key": key}
            connection.execute(insert(ContactRow).values(**{"name": ""} | fixed | values, created_at=now()))
    return added, len(contacts) - added


def _said(one: NewContact, tags: Iterable[str]) -> Values:
    said: dict[str, Any] = {"name": one.name, "language": one.language, "company": one.company}
    values = {k: v if v or k == "name" else None for k, v in said.items() if v is not None}
    kept = (t for t in dict.fromkeys([*tags, *one.tags]) if t not in one.no_tags)
    return values | {"tags": list(kept)}
