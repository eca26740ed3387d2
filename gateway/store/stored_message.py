"""A kept message with its content: what is given out as it came, or goes the line again."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from gateway.core.decision import Facts
from gateway.core.envelope import Client, Envelope
from gateway.core.errors import UnknownThing
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.facts import load_facts
from gateway.store.tables import Account, MessageRow, Transaction
from gateway.store.tables.columns import columns

_a = columns(Account)
_m = columns(MessageRow)
_x = columns(Transaction)

_GONE = ("erased", "expired")
"""Dispositions of messages whose content has gone for good."""


def raw_content(store: Store, blobs: FileBlobs, account: str, message_id: str) -> bytes | None:
    """The message as it came. None when there is none such, or its content has gone for good; raises BlobUnavailable when
    it cannot be read whole.
    """
    query = select(_m.content, _m.sha256, _m.disposition).where(_m.account_id == account, _m.id == message_id)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None or row.disposition in _GONE:
        return None
    return row.content if row.content is not None else blobs.get(account, message_id, row.sha256)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What `Intake.again` needs: the envelope as it was, and the facts as they were then (None for parked mail)."""

    envelope: Envelope
    facts: Facts | None
    disposition: str


def stored_message(store: Store, blobs: FileBlobs, account: str, message_id: str) -> StoredMessage:
    """Raises UnknownThing, BlobUnavailable."""
    query = (
        select(*_m, _a.name.label("account"), _x.client_ip, _x.helo, _x.tls)
        .select_from(MessageRow)
        .join(Account, _a.id == _m.account_id)
        .outerjoin(Transaction, _x.trace_id == _m.trace_id)
        .where(_m.account_id == account, _m.id == message_id)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise UnknownThing(f"there is no message {message_id} in this account")
    if row.disposition in ("erased", "expired"):
        raise UnknownThing(f"message {message_id} is {row.disposition}: its content is gone")
    content = row.content if row.content is not None else blobs.get(account, message_id, row.sha256)
    facts = load_facts(row.facts) if row.facts else None
    envelope = Envelope(
        trace_id=row.trace_id,
        account=row.account,
        source=row.source,
        received_at=row.received_at,
        client=Client(row.client_ip, row.helo or "", row.tls) if row.client_ip else None,
        reverse_path=row.reverse_path,
        recipients=tuple(row.recipients),
        smtputf8=facts.envelope.smtputf8 if facts else not "".join(row.recipients).isascii(),
        content=content,
        sha256=row.sha256,
    )
    return StoredMessage(envelope, facts, row.disposition)
