"""What admins are told of their policy: whom it is owed to, and what it says when it is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, String, cast, func, insert, select, update

from gateway.core.addresses import canonical
from gateway.core.clock import first_id_of, new_id
from gateway.core.digest import Waiting
from gateway.core.errors import UnknownThing
from gateway.core.message import Address
from gateway.core.outcome import Reason
from gateway.core.policy_notice import KINDS, NOT_PUBLISHED, PROBATION, PolicyNotice
from gateway.core.tokens import new_trace_id
from gateway.store.engine import Store, row_lock
from gateway.store.filing import Kept
from gateway.store.outbox import Claim, among
from gateway.store.policies import Probation, probation_in
from gateway.store.tables import Account, MessageRow, Outbox, PolicyCandidate, PolicyVersion
from gateway.store.tables.columns import columns

_a, _m, _o, _v, _c = (
    columns(Account), columns(MessageRow), columns(Outbox), columns(PolicyVersion), columns(PolicyCandidate)
)  # fmt: skip

TOLD_AT = 5
"""So many messages wait for versions on probation before admins are told: one or two may be meant."""
EXAMPLES = 5


def owe_to_admins(connection: Connection, account_id: str, kind: str, about: str, now: datetime) -> int:
    """A notice to each admin of the account; returns how many. No ticket and no message caused it: `message_id` names the
    version or candidate it is `about`; what it says is read when it is written.
    """
    admins = connection.execute(select(_a.admins).where(_a.id == account_id)).scalar() or []
    for address in admins:
        connection.execute(
            insert(Outbox).values(
                account_id=account_id, id=new_id(), trace_id=new_trace_id(), ticket_id="", message_id=about, kind=kind,
                recipient=address, recipient_key=canonical(address), state="pending", attempts=0, created_at=now,
                next_at=now, message_id_header="", template="", last_reply="",
            )
        )  # fmt: skip
    return len(admins)


def queue_probation_notices(store: Store, now: datetime) -> int:
    """Owe a notice to each admin where `TOLD_AT` messages wait for a live version on probation or for those whose place it
    took on their first day, once a version and not for what was told already; returns how many mails. May run as often as
    one likes, and on several nodes at once. Raises StoreUnavailable.
    """
    with store.read() as connection:
        untold = connection.execute(_untold()).all()
    return sum(_queue(store, row.account_id, now) for row in untold)


def _untold() -> Any:
    """Live versions on probation of accounts that have somebody to tell."""
    live = (_v.account_id == _a.id) & (_v.version == _a.policy_version)
    query = select(_v.account_id, _v.version, _v.created_at, _a.admins).join_from(Account, PolicyVersion, live)
    return query.where(_v.probation.is_(True), _v.told_at.is_(None)).order_by(_v.account_id)


def _queue(store: Store, account_id: str, now: datetime) -> int:
    with store.write() as connection:
        row_lock(connection, [account_id])
        # asked again under the lock: another node may have been quicker
        row = connection.execute(_untold().where(_a.id == account_id)).first()
        if row is None or not row.admins or _untold_count(connection, row) < TOLD_AT:
            return 0
        mine = (_v.account_id == account_id, _v.version == row.version)
        connection.execute(update(PolicyVersion).where(*mine).values(told_at=now))
        return owe_to_admins(connection, account_id, PROBATION, str(row.version), now)


def _untold_count(connection: Connection, row: Row[Any]) -> int:
    """What waits since the last that admins were told of these versions."""
    held = _held(connection, row)
    mine = (_v.account_id == row.account_id, _v.version > held.before, _v.version <= row.version)
    told: datetime | None = connection.execute(select(func.max(_v.told_at)).where(*mine)).scalar()
    return _count(connection, _waits(row, held, since=told))


def _held(connection: Connection, row: Row[Any]) -> Probation:
    """A version that was mended on its first day goes on counting: its mail waits for the same decision."""
    held = probation_in(connection, row.account_id, row.version)
    return held or Probation(row.created_at, row.version - 1, row.created_at)


def _waits(row: Row[Any], held: Probation, since: datetime | None = None) -> tuple[ColumnElement[bool], ...]:
    """By id from the first version's first moment on: the table has years of mail, and no index of reasons."""
    return (
        _m.account_id == row.account_id,
        _m.id >= first_id_of(max(since or held.begun, held.begun)),
        _m.reason == Reason.PROBATION.value,
        _m.disposition == Kept.QUARANTINED.value,
        _m.policy_version > held.before,
        _m.policy_version <= row.version,
    )


def _count(connection: Connection, waits: tuple[ColumnElement[bool], ...]) -> int:
    return int(connection.execute(select(func.count()).select_from(MessageRow).where(*waits)).scalar() or 0)


class PolicyNotices:
    """What was read for `claims` in one view of the database; `of` makes a notice of it. Raises StoreUnavailable."""

    def __init__(self, store: Store, claims: Sequence[Claim], gateway_domain: str) -> None:
        self._made: dict[str, PolicyNotice] = {}
        ours = [(c.account_id, c.id) for c in claims if c.kind in KINDS]
        if not ours:
            return
        mine = among(_o.account_id, _o.id, ours)
        with store.read() as connection:
            for row in connection.execute(_probations().where(mine)):
                self._made[row.id] = _notice(row, gateway_domain, **_of_probation(connection, row))
            for row in connection.execute(_unpublished().where(mine)):
                self._made[row.id] = _notice(
                    row, gateway_domain, at=row.due_at, problems=tuple(row.result.splitlines())
                )

    def of(self, claim: Claim) -> PolicyNotice:
        """Raises UnknownThing."""
        if claim.id not in self._made:
            raise UnknownThing("the version this notice is about is gone")
        return self._made[claim.id]


_OF_ACCOUNT = (_a.name, _a.company_name, _a.language, _a.timezone)
_OF_ROW = (_o.id, _o.kind, _o.recipient, _o.created_at.label("owed_at"), _o.account_id)


def _probations() -> Any:
    about = (_v.account_id == _o.account_id) & (cast(_v.version, String) == _o.message_id)
    query = select(*_OF_ROW, *_OF_ACCOUNT, _v.version, _v.author, _v.note, _v.created_at)
    joined = query.select_from(Outbox).join(Account, _a.id == _o.account_id).join(PolicyVersion, about)
    return joined.where(_o.kind == PROBATION)


def _unpublished() -> Any:
    about = (_c.account_id == _o.account_id) & (_c.id == _o.message_id)
    query = select(*_OF_ROW, *_OF_ACCOUNT, _c.author, _c.note, _c.due_at, _c.result)
    joined = query.select_from(Outbox).join(Account, _a.id == _o.account_id).join(PolicyCandidate, about)
    return joined.where(_o.kind == NOT_PUBLISHED)


def _of_probation(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """What waits by now: more may have come since the fifth."""
    shown = (_m.id, _m.received_at, _m.author_name, _m.author_address, _m.subject, _m.reason)
    held = _held(connection, row)
    waits = _waits(row, held)
    newest = connection.execute(select(*shown).where(*waits).order_by(_m.id.desc()).limit(EXAMPLES)).all()
    waiting = tuple(
        Waiting(m.id, m.received_at, Address(m.author_address, m.author_name), m.subject, m.reason) for m in newest
    )
    counted = {"total": _count(connection, waits), "waiting": waiting}
    return {"at": row.created_at, "version": row.version, "before": held.before, **counted}


def _notice(
    row: Row[Any],
    gateway_domain: str,
    *,
    at: datetime,
    version: int = 0,
    before: int = 0,
    total: int = 0,
    waiting: tuple[Waiting, ...] = (),
    problems: tuple[str, ...] = (),
) -> PolicyNotice:
    return PolicyNotice(
        outbox_id=row.id,
        kind=row.kind,
        language=row.language,
        account_id=row.account_id,
        account=row.name,
        account_domain=f"{row.name}.{gateway_domain}",
        company_name=row.company_name,
        timezone=row.timezone,
        recipient=row.recipient,
        author=row.author,
        note=row.note,
        at=at,
        version=version,
        before=before,
        total=total,
        waiting=waiting,
        problems=problems,
        created_at=row.owed_at,
    )
