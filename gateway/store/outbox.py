"""The mail we owe: claimed under leases and by turns, rendered once, every attempt on record. Many rows a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, false, func, insert, or_, select, update

from gateway.core.clock import new_id
from gateway.core.forwarded import KIND as FORWARD
from gateway.core.notice import Delivery, Rendered
from gateway.core.trace import Step
from gateway.store.engine import Store
from gateway.store.events import event_row
from gateway.store.secret import Secret
from gateway.store.tables import Account, Event, Outbox
from gateway.store.tables.columns import columns

LEASE = timedelta(minutes=5)
"""How long a claim holds unless it is renewed."""

FURTHEST = timedelta(hours=2)
"""Longer than any attempt is put off."""

TURNS = 1000
"""Rows of one account that one look-up names, so that an account that owes a hundred thousand hides nobody's."""

_o, _a, _e = columns(Outbox), columns(Account), columns(Event)


@dataclass(frozen=True, slots=True)
class Due:
    """A row whose time has come. `domain` is its recipient's."""

    account_id: str
    id: str
    domain: str


@dataclass(frozen=True, slots=True)
class Claim:
    """An outbox row in our hands. `rendered` is None before its first attempt; `attempts` counts those made; `attempt_id`
    names this one, so that its record can be made again without being made twice.
    """

    account_id: str
    id: str
    trace_id: str
    recipient: str
    attempts: int
    created_at: datetime
    rendered: Rendered | None
    attempt_id: str = field(default_factory=new_id)
    kind: str = ""


def claim(
    store: Store,
    now: datetime,
    limit: int,
    in_hand: Collection[str] = (),
    database_clock: bool = False,
    by: str = "",
) -> list[Claim]:
    """Take up to `limit` rows that are due and in nobody's hands: `due` and `take` in one.

    `in_hand`: ids of the rows the caller is still at work on; when the clock jumps their leases seem to have run out.
    `by`: who claims; what is leased to the same one without being in its hands was claimed by a commit whose answer got
    lost, and is free again. `database_clock`: leases are kept between nodes, whose clocks differ; where the database has
    a clock, go by that.
    """
    found = due(store, now, limit, in_hand, database_clock, by)
    return take(store, found, now, in_hand, database_clock, by) if found else []


def due(
    store: Store,
    now: datetime,
    limit: int,
    in_hand: Collection[str] = (),
    database_clock: bool = False,
    by: str = "",
) -> list[Due]:
    """Up to `limit` rows that may be taken, the oldest of every account first, then the second oldest of each: an account
    that owes ten thousand delays nobody else's. Nothing is locked or changed.

    What is due now; else what is due later than anything is ever put off: a clock that was ahead wrote it.
    """
    with store.read() as connection:
        free = _free(_lease_clock(connection, now, database_clock), by)
        wanted = [_o.state == "pending", free, _o.id.not_in(in_hand)]
        # two questions, so that each is a range of the index
        found = _by_turns(connection, [*wanted, _o.next_at <= now], limit)
        found = found or _by_turns(connection, [*wanted, _o.next_at > now + FURTHEST], limit)
    return [Due(r.account_id, r.id, r.recipient_key.rpartition("@")[2]) for r in found]


def _by_turns(connection: Connection, wanted: Sequence[ColumnElement[bool]], limit: int) -> Sequence[Any]:
    oldest = (_o.next_at, _o.id)
    turn = func.row_number().over(partition_by=_o.account_id, order_by=oldest).label("turn")
    rows = select(_o.account_id, _o.id, _o.recipient_key, _o.next_at, turn).where(*wanted).subquery().c
    query = (
        select(rows.account_id, rows.id, rows.recipient_key)
        .where(rows.turn <= TURNS)
        .order_by(rows.turn, rows.next_at, rows.id)
        .limit(limit)
    )
    return connection.execute(query).all()


def take(
    store: Store,
    wanted: Sequence[Due],
    now: datetime,
    in_hand: Collection[str] = (),
    database_clock: bool = False,
    by: str = "",
) -> list[Claim]:
    """Those of `wanted` that are still pending and in nobody's hands are ours now, under a lease; in the same order."""
    place = {one.id: n for n, one in enumerate(wanted) if one.id not in in_hand}
    with store.write() as connection:
        clock = _lease_clock(connection, now, database_clock)
        query = select(*_o, _free(clock, by).label("free")).where(_these((d.account_id, d.id) for d in wanted))
        if connection.dialect.name != "sqlite":
            query = query.with_for_update(skip_locked=True)
        # the state is asked here and not there: by it SQLite would choose an index with all that is due
        rows = [r for r in connection.execute(query) if r.free and r.state == "pending" and r.id in place]
        _lease(connection, [(r.account_id, r.id) for r in rows], clock, by)
    return [_claim(r) for r in sorted(rows, key=lambda r: place[r.id])]


def renew(store: Store, claims: Sequence[Claim], now: datetime, database_clock: bool = False, by: str = "") -> None:
    """What is still at work holds on: the answer to a final dot may take ten minutes (RFC 5321 section 4.5.3.2.6)."""
    with store.write() as connection:
        _lease(connection, [(c.account_id, c.id) for c in claims], _lease_clock(connection, now, database_clock), by)


def release(store: Store, claims: Sequence[Claim]) -> None:
    """Give back what was claimed and not tried."""
    if not claims:
        return
    with store.write() as connection:
        rows = _these((c.account_id, c.id) for c in claims)
        connection.execute(update(Outbox).where(rows).values(leased_until=None, leased_by=None))


def _lease(connection: Connection, keys: Sequence[tuple[str, str]], clock: datetime, by: str) -> None:
    if keys:
        lease = {"leased_until": clock + LEASE, "leased_by": by or None}
        connection.execute(update(Outbox).where(_these(keys)).values(**lease))


def _free(clock: datetime, by: str) -> ColumnElement[bool]:
    free = or_(_o.leased_until.is_(None), _o.leased_until < clock, _o.leased_until > clock + 2 * LEASE)
    return or_(free, _o.leased_by == by) if by else free


def among(account: Any, column: Any, keys: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """Rows by account and something of it. Account by account: SQLite uses no index for a list of pairs."""
    wanted: dict[str, list[str]] = {}
    for account_id, one in keys:
        wanted.setdefault(account_id, []).append(one)
    return or_(false(), *(and_(account == account_id, column.in_(some)) for account_id, some in wanted.items()))


def _these(keys: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    return among(_o.account_id, _o.id, keys)


def _lease_clock(connection: Connection, now: datetime, database_clock: bool) -> datetime:
    if not database_clock or connection.dialect.name == "sqlite":
        return now
    at: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return at


def _claim(row: Any) -> Claim:
    rendered = None
    if row.content is not None:
        rendered = Rendered(row.message_id_header, row.reverse_path, row.content, row.template)
    return Claim(
        row.account_id, row.id, row.trace_id, row.recipient, row.attempts, row.created_at, rendered, kind=row.kind
    )


def release_leases(store: Store, by: str) -> None:
    """`by` is the only outbox worker of its data directory: what others held is free again."""
    with store.write() as connection:
        held = (_o.state == "pending", _o.leased_until.is_not(None), _o.leased_by.is_distinct_from(by))
        connection.execute(update(Outbox).where(*held).values(leased_until=None))


_RENDERED = (
    update(Outbox)
    .where(_o.account_id == bindparam("its_account"), _o.id == bindparam("its_id"))
    .values({c: bindparam(c, type_=_o[c].type) for c in ("message_id_header", "reverse_path", "content", "template")})
)


def keep_rendered(store: Store, rendered: Sequence[tuple[Claim, Rendered]]) -> None:
    """Store the bytes that every attempt sends, before the first."""
    if not rendered:
        return
    with store.write() as connection:
        connection.execute(_RENDERED, [_rendered_row(c, r) for c, r in rendered])


def _rendered_row(one: Claim, rendered: Rendered) -> dict[str, Any]:
    return {
        "its_account": one.account_id,
        "its_id": one.id,
        "message_id_header": rendered.message_id,
        "reverse_path": rendered.reverse_path,
        "content": rendered.content,
        "template": rendered.template,
    }


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to: the state the row gets, and when it is tried again (pending only). `passed_over`: relays
    asked before the one of the delivery, that took no word of it, with what was wrong.
    """

    claim: Claim
    delivery: Delivery
    state: str
    next_at: datetime
    passed_over: tuple[str, ...] = ()


def _settling() -> Any:
    given = {c: bindparam(f"its_{c}", type_=_o[c].type) for c in ("state", "next_at", "settled_at", "last_reply")}
    # a row that was cancelled meanwhile stays cancelled, unless the mail is out already
    open_ = or_(_o.state == "pending", given["state"] == "delivered")
    values = {name: case((open_, value), else_=_o[name]) for name, value in given.items()}
    mine = (_o.account_id == bindparam("its_account"), _o.id == bindparam("its_id"))
    return update(Outbox).where(*mine).values(values | {"leased_until": None, "attempts": _o.attempts + 1})


_SETTLED = _settling()


def settle(store: Store, settlements: Sequence[Settlement], now: datetime) -> None:
    """Record attempts with the other server's words, in the row and in the trace of the message that caused it.

    An attempt that is on record already is left alone: the answer of the commit that recorded it had got lost.
    """
    with store.write() as connection:
        ids = [s.claim.attempt_id for s in settlements]
        known = set(connection.execute(select(_e.id).where(_e.id.in_(ids))).scalars())
        fresh = [s for s in settlements if s.claim.attempt_id not in known]
        if fresh:
            connection.execute(_SETTLED, [_settled_row(s, now) for s in fresh])
            # the message it was made of is kept: ten copies of 25 MB would only fill the disk
            gone = [
                (s.claim.account_id, s.claim.id) for s in fresh if s.claim.kind == FORWARD and s.state == "delivered"
            ]
            if gone:
                connection.execute(update(Outbox).where(_these(gone)).values(content=None))
            connection.execute(insert(Event), [_attempt_event(s, now) for s in fresh])


def _settled_row(one: Settlement, now: datetime) -> dict[str, Any]:
    delivery = one.delivery
    return {
        "its_account": one.claim.account_id,
        "its_id": one.claim.id,
        "its_state": one.state,
        "its_next_at": one.next_at,
        "its_settled_at": now if one.state != "pending" else None,
        "its_last_reply": f"{delivery.code} {delivery.reply}" if delivery.code else delivery.reply,
    }


def _attempt_event(one: Settlement, now: datetime) -> dict[str, Any]:
    delivery = one.delivery
    detail: dict[str, Any] = {
        "outbox": one.claim.id,
        "recipient": one.claim.recipient,
        "attempt": one.claim.attempts + 1,
        "via": delivery.via,
        "code": delivery.code,
        "reply": delivery.reply,
    }
    if delivery.uncertain:
        detail["uncertain"] = "the connection broke after the final dot: the relay may have it"
    if one.passed_over:
        detail["passed_over"] = list(one.passed_over)
    if one.state == "pending":
        detail["next_at"] = one.next_at.isoformat()
    outcome = "failed" if one.state == "failed" else delivery.result.value
    step = Step(now, "deliver", outcome, "", detail)
    return event_row(one.claim.trace_id, one.claim.account_id, step) | {"id": one.claim.attempt_id}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The DKIM key of an account's own domain."""

    domain: str
    selector: str
    private_key_pem: bytes


def signing_key(store: Store, secret: Secret, account_id: str, gateway_domain: str) -> SigningKey:
    with store.read() as connection:
        row = connection.execute(select(_a.name, _a.dkim_selector, _a.dkim_key).where(_a.id == account_id)).one()
    pem = secret.decrypt(row.dkim_key, f"dkim:{account_id}")
    return SigningKey(f"{row.name}.{gateway_domain}", row.dkim_selector, pem)
