"""The files of kept messages, walked account by account and newest first, without their content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, or_, select

from gateway.core.clock import first_id_of
from gateway.core.decision import Facts, PartDisposition
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.facts import load_facts
from gateway.store.filing import Kept
from gateway.store.tables import Account, MessageRow
from gateway.store.tables.columns import columns

CHUNK = 50
SEARCHED = 500
"""Rows looked through for the text of a few digests in one statement."""

_m, _a = columns(MessageRow), columns(Account)
_WITH_FACTS = (Kept.TICKETED.value, Kept.IGNORED.value, Kept.QUARANTINED.value)
Json = dict[str, Any]
Place = tuple[str, str]
"""An account's id and a message's: what was walked comes before it in the walk."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """`held` files may be released one day, so they are looked at as those that are kept."""

    n: int
    name: str
    sha256: str
    disposition: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A message and those of its files that are not stripped. `unscanned`: why no scanner has seen it, empty where one has.
    `infected` are the numbers of files that a scan named, 0 for the message as a whole.
    """

    account_id: str
    account: str
    id: str
    trace_id: str
    author: str
    subject: str
    unscanned: str
    infected: frozenset[int]
    files: tuple[KeptFile, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is walked: everything, one account's, from a moment on."""

    account_id: str | None = None
    since: datetime | None = None

    @property
    def is_everything(self) -> bool:
        return self.account_id is None and self.since is None


def how_many(store: Store, scope: Scope) -> int:
    """Messages that `walk` will meet."""
    wanted = [_m.disposition.in_(_WITH_FACTS), *_since(scope)]
    wanted += [_m.account_id == scope.account_id] if scope.account_id else []
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(MessageRow).where(*wanted)).scalar_one())


def chunk(store: Store, scope: Scope, after: Place | None) -> tuple[list[Holder], Place | None]:
    """The next messages behind `after`, and the place to go on from; None at the end. By account, because ids are sorted
    within one alone.
    """
    with store.read() as connection:
        accounts = connection.execute(_accounts(scope, after)).all()
        for account_id, account in accounts:
            wanted = [_m.account_id == account_id, *_since(scope)]
            if after and after[0] == account_id:
                wanted.append(_m.id < after[1])
            rows = connection.execute(_rows().where(*wanted)).all()
            if rows:
                return [_holder(row, account) for row in rows if row.facts], (account_id, rows[-1].id)
    return [], None


def _accounts(scope: Scope, after: Place | None) -> Select[Any]:
    query = select(_a.id, _a.name).order_by(_a.id)
    query = query.where(_a.id >= after[0]) if after else query
    return query.where(_a.id == scope.account_id) if scope.account_id else query


def _rows() -> Select[Any]:
    shown = (_m.account_id, _m.id, _m.trace_id, _m.author_address, _m.subject, _m.facts, _m.decision)
    return select(*shown).where(_m.disposition.in_(_WITH_FACTS)).order_by(_m.id.desc()).limit(CHUNK)


def _since(scope: Scope) -> list[ColumnElement[bool]]:
    return [_m.id >= first_id_of(scope.since)] if scope.since else []


def _holder(row: Any, account: str) -> Holder:
    scan: Json = json.loads(row.facts)["facts"]["scan"]
    fates = {p["n"]: p["disposition"] for p in json.loads(row.decision)["decision"]["parts"]} if row.decision else {}
    files = [
        KeptFile(p["n"], p["name"], p["sha256"], fate)
        for p in scan["parts"]
        if (fate := fates.get(p["n"], PartDisposition.HELD.value)) != PartDisposition.STRIPPED.value
    ]
    infected = scan["findings"] if scan["status"] == "infected" else ()
    named = frozenset(int(f["where"]) if f["where"].isdecimal() else 0 for f in infected)
    unscanned = (scan["reason"] or "unknown") if scan["status"] == "unscanned" else ""
    return Holder(
        row.account_id, account, row.id, row.trace_id, row.author_address, row.subject, unscanned, named, tuple(files)
    )


def holders_of(store: Store, digests: Sequence[str]) -> Iterator[Holder]:
    """Every message, of all accounts, that has a file of one of these SHA-256. Reads the whole table: no index knows files."""
    with store.read() as connection:
        accounts = connection.execute(select(_a.id, _a.name).order_by(_a.id)).all()
    has = or_(false(), *(_m.facts.contains(digest) for digest in digests)).label("has")
    for account_id, account in accounts:
        after = ""
        while True:
            query = select(_m.id, has).where(_m.account_id == account_id, _m.id > after).order_by(_m.id).limit(SEARCHED)
            with store.read() as connection:
                rows = connection.execute(query).all()
                ids = [row.id for row in rows if row.has]
                these = _rows().where(_m.account_id == account_id, _m.id.in_(ids)).limit(None)
                found = connection.execute(these).all() if ids else ()
            yield from (_holder(row, account) for row in found if row.facts)
            if len(rows) < SEARCHED:
                break
            after = rows[-1].id


def waiting(store: Store, limit: int, passing_over: Sequence[str] = ()) -> list[Place]:
    """Messages that no scanner has seen because it was away, oldest of each account first."""
    query = select(_m.account_id, _m.id).where(_m.awaits_scan, _m.disposition.in_(_WITH_FACTS))
    query = query.where(_m.id.not_in(passing_over)) if passing_over else query
    with store.read() as connection:
        return [(r.account_id, r.id) for r in connection.execute(query.order_by(_m.account_id, _m.id).limit(limit))]


def content_of(store: Store, blobs: FileBlobs, account_id: str, message_id: str) -> bytes | None:
    """The raw message, None where it is gone. Raises BlobUnavailable, StoreUnavailable."""
    query = select(_m.content, _m.sha256, _m.disposition).where(_m.account_id == account_id, _m.id == message_id)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None or row.disposition not in _WITH_FACTS:
        return None
    content: bytes = row.content if row.content is not None else blobs.get(account_id, message_id, row.sha256)
    return content


def facts_of(store: Store, account_id: str, message_id: str) -> Facts | None:
    """None where they are gone. Raises UnreadableFacts, StoreUnavailable."""
    with store.read() as connection:
        text = connection.execute(select(_m.facts).where(_m.account_id == account_id, _m.id == message_id)).scalar()
    return load_facts(text) if text else None
