"""Who asks: API keys, scoped to one account. A foreign account looks like one that does not exist."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select

from gateway.store.engine import Store
from gateway.store.tables import Account, ApiKey, Team
from gateway.store.tables.columns import columns

_k, _a, _t = columns(ApiKey), columns(Account), columns(Team)


@dataclass(frozen=True, slots=True)
class Caller:
    """The account a key belongs to, what it may do (`read`, `write`, `admin`), and which key it is. `team` is set for a key
    that writes that team's rules and nothing else; empty where the team is gone.
    """

    account_id: str
    account: str
    scope: str
    key_id: str
    team: str | None = None

    @property
    def by(self) -> str:
        """For the record of what was done with it."""
        return f"API key {self.key_id}"


def key_digest(key: str) -> str:
    """What is kept of a key. A key is 32 random bytes: nothing to guess, so a plain hash serves and compares in the index."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def caller_of(store: Store, authorization: str | None) -> Caller | None:
    """The caller behind `Authorization: Bearer <key>`, None for no key, a wrong or a revoked one. Raises StoreUnavailable."""
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    query = (
        select(_a.id, _a.name, _k.scope, _k.id.label("key_id"), _k.team_id, _t.name.label("team"))
        .join_from(ApiKey, Account, _k.account_id == _a.id)
        .outerjoin(Team, (_t.account_id == _k.account_id) & (_t.id == _k.team_id))
        .where(_k.digest == key_digest(key.strip()), _k.revoked_at.is_(None))
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return Caller(row.id, row.name, row.scope, row.key_id, None if row.team_id is None else row.team or "")
