"""Policies that are not live: one that runs in the shadow of the live policy, and those that are to be published later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from gateway.core.clock import new_id, now
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.store.changes import changing, insert_version
from gateway.store.engine import Store
from gateway.store.events import moment as written
from gateway.store.policy_notices import owe_to_admins
from gateway.store.tables import Account, PolicyCandidate
from gateway.store.tables.columns import columns

SHADOW = "shadow"
LATER = "later"
ENDED_SHOWN = 20
"""Scheduled versions that have had their time are listed so far back."""

_a, _c = columns(Account), columns(PolicyCandidate)


@dataclass(frozen=True, slots=True)
class Candidate:
    """`result` is a sentence that tells how it ended. `since_version`: the live one that it was held against when it was
    scheduled.
    """

    account_id: str
    id: str
    purpose: str
    text: str
    note: str
    author: str
    created_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    result: str
    since_version: int | None


# --- the shadow ---


class ShadowRuns(InvalidInput):
    """Another candidate runs in the shadow: what it was asked about would be lost with it. `which` tells of it."""

    def __init__(self, running: Candidate) -> None:
        by = f", started by {running.author}" if running.author else ""
        note = f" ({running.note})" if running.note else ""
        self.which = f"a candidate runs already, since {written(running.created_at)}{by}{note}"
        super().__init__(f"{self.which}; one runs at a time: end it with `gateway policy shadow stop` first")


def start_shadow(store: Store, account_id: str, text: str, *, note: str = "", author: str = "") -> str:
    """From now on it is asked beside the live policy; returns its id. The text was checked. Raises ShadowRuns."""
    with changing(store) as connection:
        running = _shadow_in(connection, account_id)
        if running:
            raise ShadowRuns(running)
        candidate = _insert(connection, account_id, SHADOW, text, note=note, author=author)
        connection.execute(update(Account).where(_a.id == account_id).values(shadow_id=candidate))
    return candidate


def shadow_of(store: Store, account_id: str) -> Candidate | None:
    """The candidate that runs in the shadow."""
    with store.read() as connection:
        return _shadow_in(connection, account_id)


def _shadow_in(connection: Connection, account_id: str) -> Candidate | None:
    query = select(*_c).join_from(Account, PolicyCandidate, (_c.account_id == _a.id) & (_c.id == _a.shadow_id))
    row = connection.execute(query.where(_a.id == account_id)).first()
    return Candidate(*row) if row else None


def stop_shadow(store: Store, account_id: str, result: str, *, only: str | None = None) -> bool:
    """No candidate runs any more, or not the one of the id `only`; False where there was none."""
    with changing(store) as connection:
        return _end_shadow(connection, account_id, result, only)


def _end_shadow(connection: Connection, account_id: str, result: str, only: str | None = None) -> bool:
    running = connection.execute(select(_a.shadow_id).where(_a.id == account_id)).scalar()
    if running is None or only not in (None, running):
        return False
    _end(connection, account_id, running, result)
    connection.execute(update(Account).where(_a.id == account_id).values(shadow_id=None))
    return True


# --- later ---


def schedule(
    store: Store,
    account_id: str,
    text: str,
    due_at: datetime,
    *,
    since_version: int,
    note: str = "",
    author: str = "",
) -> str:
    """To be published at that moment; returns the candidate's id. The text was checked, and held against a version."""
    with changing(store) as connection:
        return _insert(
            connection, account_id, LATER, text, note=note, author=author, due_at=due_at, since_version=since_version
        )


def scheduled(store: Store, account_id: str) -> list[Candidate]:
    """Those to come, the next one first; then the last that have had their time, the newest first."""
    mine = select(*_c).where(_c.account_id == account_id, _c.purpose == LATER)
    to_come = mine.where(_c.ended_at.is_(None)).order_by(_c.due_at, _c.id)
    ended = mine.where(_c.ended_at.is_not(None)).order_by(_c.ended_at.desc(), _c.id).limit(ENDED_SHOWN)
    with store.read() as connection:
        return [Candidate(*row) for query in (to_come, ended) for row in connection.execute(query)]


def unschedule(store: Store, account_id: str, candidate_id: str, *, by: str) -> None:
    """It is not published. Raises UnknownThing for one that does not wait (any more)."""
    with changing(store) as connection:
        if not _end(connection, account_id, candidate_id, f"withdrawn by {by}", _c.purpose == LATER):
            cure = "`gateway policy scheduled` lists them"
            raise UnknownThing(f"there is no scheduled version {candidate_id} that still waits; {cure}")


def due(store: Store, moment: datetime) -> list[Candidate]:
    """Whose time has come, in the order in which they are to be published."""
    query = select(*_c).where(_c.due_at <= moment, _c.purpose == LATER, _c.ended_at.is_(None))
    with store.read() as connection:
        return [Candidate(*row) for row in connection.execute(query.order_by(_c.due_at, _c.id))]


def publish_due(
    store: Store, candidate: Candidate, *, probation: bool, result: Callable[[int], str], instead_of: int
) -> int | None:
    """It becomes the live version, and has ended, in one transaction: a kill in between publishes nothing twice.

    None where it was withdrawn meanwhile, and where the live version is another than the one it was held against.
    """
    account_id = candidate.account_id
    with changing(store) as connection:
        live = connection.execute(select(_a.policy_version).where(_a.id == account_id)).scalar()
        if live != instead_of or not _end(connection, account_id, candidate.id, ""):
            return None
        note, author = candidate.note, candidate.author
        version = insert_version(connection, account_id, candidate.text, note=note, author=author, probation=probation)
        done = update(PolicyCandidate).where(_c.account_id == account_id, _c.id == candidate.id)
        connection.execute(done.values(result=result(version)))
    return version


def refuse_due(store: Store, candidate: Candidate, result: str, kind: str) -> bool:
    """It does not fit the account any more: it has ended, and admins are owed a notice of this kind. False where it was
    withdrawn meanwhile.
    """
    with changing(store) as connection:
        if not _end(connection, candidate.account_id, candidate.id, result):
            return False
        owe_to_admins(connection, candidate.account_id, kind, candidate.id, now())
    return True


# --- both ---


def _insert(connection: Connection, account_id: str, purpose: str, text: str, **values: Any) -> str:
    candidate = new_id()
    row = {"account_id": account_id, "id": candidate, "purpose": purpose, "text": text, "created_at": now()}
    connection.execute(insert(PolicyCandidate).values(**row, result="", **values))
    return candidate


def _end(connection: Connection, account_id: str, candidate: str, result: str, *more: ColumnElement[bool]) -> bool:
    mine = (_c.account_id == account_id, _c.id == candidate, _c.ended_at.is_(None), *more)
    return bool(connection.execute(update(PolicyCandidate).where(*mine).values(ended_at=now(), result=result)).rowcount)
