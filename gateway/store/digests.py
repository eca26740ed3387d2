"""The daily digest of what is held back: whom it is owed to, and what it says when it is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from gateway.core.addresses import canonical
from gateway.core.clock import first_id_of, new_id
from gateway.core.digest import HELD_FILE, KIND, Digest, Waiting
from gateway.core.errors import UnknownThing
from gateway.core.message import Address
from gateway.core.tokens import new_trace_id
from gateway.store.engine import Store, row_lock
from gateway.store.filing import Kept
from gateway.store.holdings import has_held_files
from gateway.store.outbox import Claim, among
from gateway.store.tables import Account, MessageRow, Outbox
from gateway.store.tables.columns import columns

_a, _m, _o = columns(Account), columns(MessageRow), columns(Outbox)

FROM_HOUR = 8
"""Local time of the account: who reads it is at work."""
LINES = 20
UNDER_WAY = timedelta(minutes=2)
"""A message's id is made when it comes, and committed when it is judged: what is younger than this may not be seen yet,
and is told of the next time.
"""


def queue_digests(store: Store, now: datetime) -> int:
    """Owe a digest to each admin of every account where something new waits since its last one, from eight in the morning
    on and once a local day; returns how many mails. From listen-only accounts too: it is mail to their own admins.

    May run as often as one likes, and on several nodes at once. Raises StoreUnavailable.
    """
    with store.read() as connection:
        accounts = connection.execute(_accounts()).all()
    return sum(_queue(store, a.id, now) for a in accounts if _is_due(a, now))


def _accounts() -> Any:
    return select(_a.id, _a.timezone, _a.admins, _a.digest_at).order_by(_a.id)


def _is_due(account: Row[Any], now: datetime) -> bool:
    here = now.astimezone(zone_of(account.timezone))
    if not account.admins or here.hour < FROM_HOUR:
        return False
    return account.digest_at is None or account.digest_at.astimezone(here.tzinfo).date() < here.date()


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _queue(store: Store, account_id: str, now: datetime) -> int:
    with store.write() as connection:
        row_lock(connection, [account_id])
        # asked again under the lock: another node may have been quicker
        account = connection.execute(_accounts().where(_a.id == account_id)).first()
        if account is None or not _is_due(account, now):
            return 0
        begin = first_id_of(account.digest_at - UNDER_WAY) if account.digest_at else ""
        new = select(_m.id).where(_waits(account_id), *_between(begin, now)).limit(1)
        if connection.execute(new).first() is None:
            return 0
        for address in account.admins:
            connection.execute(insert(Outbox).values(_row(account_id, address, begin, now)))
        connection.execute(update(Account).where(_a.id == account_id).values(digest_at=now))
        return len(account.admins)


def _row(account_id: str, address: str, begin: str, now: datetime) -> dict[str, Any]:
    """No ticket and no message caused it. `message_id` names the first message it may tell of, the moment of its making the
    last: what it says is read when it is written.
    """
    return {
        "account_id": account_id, "id": new_id(), "trace_id": new_trace_id(), "ticket_id": "",
        "message_id": begin.ljust(32, "0"), "kind": KIND, "recipient": address, "recipient_key": canonical(address),
        "state": "pending", "attempts": 0, "created_at": now, "next_at": now, "message_id_header": "", "template": "",
        "last_reply": "",
    }  # fmt: skip


def _waits(account_id: str) -> ColumnElement[bool]:
    went_on = _m.disposition.in_((Kept.TICKETED.value, Kept.IGNORED.value))
    waits = or_(_m.disposition == Kept.QUARANTINED.value, and_(went_on, has_held_files()))
    return and_(_m.account_id == account_id, waits)


def _between(begin: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """By id, which sorts by the moment a message came."""
    return _m.id >= begin, _m.id < first_id_of(now - UNDER_WAY)


class Digests:
    """What was read for `claims` in one view of the database; `of` makes a digest of it. Raises StoreUnavailable."""

    def __init__(self, store: Store, claims: Sequence[Claim], gateway_domain: str) -> None:
        self._made: dict[str, Digest] = {}
        if not claims:
            return
        with store.read() as connection:
            for row in connection.execute(_owed(claims)):
                self._made[row.id] = _digest(connection, row, gateway_domain)

    def of(self, claim: Claim) -> Digest:
        """Raises UnknownThing."""
        if claim.id not in self._made:
            raise UnknownThing("the account this digest is about is gone")
        return self._made[claim.id]


def _owed(claims: Sequence[Claim]) -> Any:
    query = select(
        _o.id, _o.recipient, _o.message_id.label("begin"), _o.created_at,
        _a.id.label("account_id"), _a.name, _a.company_name, _a.language, _a.timezone,
    )  # fmt: skip
    mine = among(_o.account_id, _o.id, [(c.account_id, c.id) for c in claims])
    return query.join_from(Outbox, Account, _a.id == _o.account_id).where(mine, _o.kind == KIND)


def _digest(connection: Connection, row: Row[Any], gateway_domain: str) -> Digest:
    """What still waits of what was new when it was ordered: somebody may have been quicker than the mail."""
    waits = (_waits(row.account_id), *_between(row.begin, row.created_at))
    counted = select(_m.disposition, _m.reason, func.count().label("n")).where(*waits)
    reasons: dict[str, int] = {}
    for found in connection.execute(counted.group_by(_m.disposition, _m.reason)):
        reason = _reason(found)
        reasons[reason] = reasons.get(reason, 0) + found.n
    shown = (_m.id, _m.received_at, _m.author_name, _m.author_address, _m.subject, _m.disposition, _m.reason)
    newest = connection.execute(select(*shown).where(*waits).order_by(_m.id.desc()).limit(LINES)).all()
    return Digest(
        outbox_id=row.id,
        language=row.language,
        account_id=row.account_id,
        account=row.name,
        account_domain=f"{row.name}.{gateway_domain}",
        company_name=row.company_name,
        timezone=row.timezone,
        recipient=row.recipient,
        reasons=tuple(sorted(reasons.items(), key=lambda r: (-r[1], r[0]))),
        waiting=tuple(_line(m) for m in newest),
        more=sum(reasons.values()) - len(newest),
        created_at=row.created_at,
    )


def _reason(row: Any) -> str:
    return str(row.reason) if row.disposition == Kept.QUARANTINED.value else HELD_FILE


def _line(row: Any) -> Waiting:
    return Waiting(row.id, row.received_at, Address(row.author_address, row.author_name), row.subject, _reason(row))
