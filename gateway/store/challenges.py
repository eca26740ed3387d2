"""Challenges under way, and what a mailbox's admin is shown of its forwarding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from gateway.core.addresses import canonical
from gateway.core.challenges import word_of
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.forwarder import Challenge
from gateway.core.notice import Rendered
from gateway.core.tokens import new_trace_id
from gateway.store.changes import changing
from gateway.store.engine import Store
from gateway.store.events import moment
from gateway.store.forwarders import forget
from gateway.store.tables import Account, ChallengeRow, Confirmation, ForwarderRow, MailboxRow, Outbox
from gateway.store.tables.columns import columns

_a, _b, _c, _f = columns(Account), columns(MailboxRow), columns(ChallengeRow), columns(ForwarderRow)
_o, _y = columns(Outbox), columns(Confirmation)

LIFE = timedelta(days=4)
"""How long a challenge may teach: a weekend in somebody's quarantine, or a queue. Whoever holds it has as long."""
MOST_AN_HOUR = 10
"""Challenges of one mailbox: the address is one that an admin typed, and may be anybody's."""
CONFIRMATIONS_SHOWN = 5

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """The mailbox a challenge is for, with what the mail is made of."""

    account_id: str
    account: str
    company_name: str
    mailbox_id: str
    address: str
    name: str
    inbound: str | None
    language: str
    is_account_own: bool


def mailbox_to_check(store: Store, account_id: str, address: str) -> Checked:
    """Raises UnknownThing."""
    query = (
        select(_b.id, _b.address, _b.name, _b.inbound, _b.language, _b.is_account_own,
               _a.name.label("account"), _a.company_name, _a.language.label("account_language"))
        .join_from(MailboxRow, Account, _a.id == _b.account_id)
        .where(_b.account_id == account_id, _b.address_key == canonical(address), _b.removed_at.is_(None))
    )  # fmt: skip
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise UnknownThing(f"there is no mailbox {address} in this account; `gateway mailbox list` shows all")
    return Checked(
        account_id, row.account, row.company_name, row.id, row.address, row.name, row.inbound,
        row.language or row.account_language, row.is_account_own,
    )  # fmt: skip


def order(store: Store, account_id: str, challenge: Challenge, rendered: Rendered, now: datetime) -> None:
    """The challenge with its row in the outbox: due at once, from listen-only accounts too. Raises InvalidInput."""
    with store.write() as connection:
        _is_seldom(connection, account_id, challenge, now)
        values = {name: getattr(challenge, name) for name in Challenge.__slots__}
        values |= {"word": word_of(challenge.token), "outbox_id": challenge.id, "expires_at": now + LIFE}
        connection.execute(insert(ChallengeRow).values(account_id=account_id, state="open", lesson={}, **values))
        connection.execute(
            insert(Outbox).values(
                # no ticket and no message caused it; the audit tells what is owed twice by the message
                account_id=account_id, id=challenge.id, trace_id=new_trace_id(), ticket_id="", message_id=challenge.id,
                kind="challenge", recipient=challenge.mailbox, recipient_key=canonical(challenge.mailbox),
                state="pending", attempts=0, created_at=now, next_at=now, message_id_header=rendered.message_id,
                reverse_path=rendered.reverse_path, content=rendered.content, template=rendered.template, last_reply="",
            )
        )  # fmt: skip


def _is_seldom(connection: Connection, account_id: str, challenge: Challenge, now: datetime) -> None:
    lately = (_c.account_id == account_id, _c.mailbox_id == challenge.mailbox_id, _c.sent_at > now - timedelta(hours=1))
    count = connection.execute(select(func.count()).select_from(ChallengeRow).where(*lately)).scalar() or 0
    if count >= MOST_AN_HOUR:
        raise InvalidInput(
            f"{challenge.mailbox} was sent {count} challenges within the hour; wait for one to come back"
        )


def forwarding_of(store: Store, account_id: str, mailbox_id: str, now: datetime) -> Json:
    """What is known of a mailbox's forwarding: its forwarders, its newest challenge, what Google asks."""
    with store.read() as connection:
        return {
            "forwarders": _forwarders(connection, account_id, mailbox_id),
            "check": _newest(connection, account_id, mailbox_id, now),
            "confirmations": _confirmations(connection, account_id, mailbox_id),
        }


def _forwarders(connection: Connection, account_id: str, mailbox_id: str) -> list[Json]:
    mine = (_f.account_id == account_id, _f.mailbox_id == mailbox_id)
    rows = connection.execute(select(_f.id, _f.value, _f.drifts).where(*mine).order_by(_f.learnt_at, _f.id))
    return [
        row.value | {"id": row.id, "drifts": [{"what": what} | told for what, told in sorted(row.drifts.items())]}
        for row in rows
    ]


def _newest(connection: Connection, account_id: str, mailbox_id: str, now: datetime) -> Json | None:
    mine = (_c.account_id == account_id, _c.mailbox_id == mailbox_id)
    sent = (_o.state.label("sent"), _o.attempts, _o.last_reply, _o.next_at, _o.settled_at.label("sent_until"))
    query = (
        select(*_c, *sent)
        .outerjoin_from(ChallengeRow, Outbox, (_o.account_id == _c.account_id) & (_o.id == _c.outbox_id))
        .where(*mine)
        .order_by(_c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return _check(row, now) if row else None


def _check(row: Any, now: datetime) -> Json:
    lesson = row.lesson
    late = row.state in ("open", "bounced") and row.expires_at < now and not lesson
    return {
        "id": row.id,
        "state": "expired" if late else row.state,
        "sent_at": moment(row.sent_at),
        "expires_at": moment(row.expires_at),
        "settled_at": moment(row.settled_at),
        "subject": row.subject,
        "delivery": {
            "state": row.sent or "pending",
            "attempts": row.attempts or 0,
            "last_reply": row.last_reply or "",
            "next_at": moment(row.next_at) if row.sent == "pending" else None,
            "settled_at": moment(row.sent_until),
        },
        "learnt": bool(lesson.get("learnt")),
        "why_not": lesson.get("why_not", ""),
        "forwarder": lesson.get("forwarder"),
        "remarks": list(lesson.get("remarks", ())),
        "trace": lesson.get("trace"),
    }


def _confirmations(connection: Connection, account_id: str, mailbox_id: str) -> Sequence[Json]:
    mine = (_y.account_id == account_id, _y.mailbox_id == mailbox_id)
    query = select(*_y).where(*mine).order_by(_y.id.desc()).limit(CONFIRMATIONS_SHOWN)
    return [
        {
            "asked_by": row.asked_by,
            "code": row.code,
            "link": row.link,
            "message": row.id,
            "received_at": moment(row.received_at),
        }
        for row in connection.execute(query)
    ]


def close_expired(store: Store, account_id: str, mailbox_id: str, now: datetime) -> None:
    """Challenges whose time is over say so."""
    over = (_c.account_id == account_id, _c.mailbox_id == mailbox_id, _c.state == "open", _c.expires_at < now)
    with store.write() as connection:
        connection.execute(update(ChallengeRow).where(*over).values(state="expired", settled_at=now))


def forget_forwarder(store: Store, account_id: str, mailbox_id: str, forwarder_id: str) -> None:
    """An admin's order. Raises UnknownThing."""
    with changing(store) as connection:
        forget(connection, account_id, mailbox_id, forwarder_id)
