"""The files of kept messages: handed out only as they were scanned, and only where the policy kept them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from gateway.core.decision import Facts, PartDisposition
from gateway.core.errors import GatewayError, UnknownThing
from gateway.core.reports import ScanStatus
from gateway.parse import decode_part
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.facts import load_decision, load_facts
from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns

_m = columns(MessageRow)


class Withheld(GatewayError):
    """A file that is there and not given out; the text says why."""


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """`name` is as the message gives it, free of what is invisible; may be empty."""

    name: str
    content: bytes


def attached_file(store: Store, blobs: FileBlobs, account: str, message_id: str, n: int) -> AttachedFile:
    """The decoded octets of a kept file. Raises UnknownThing, Withheld, BlobUnavailable, StoreUnavailable."""
    query = select(_m.facts, _m.decision, _m.content, _m.sha256).where(_m.account_id == account, _m.id == message_id)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None or row.facts is None or row.decision is None:
        raise UnknownThing(f"there is no file {n} of message {message_id} in this account")
    facts = load_facts(row.facts)
    report = next((r for r in facts.scan.parts if r.n == n), None)
    part = next((p for p in facts.message.parts if p.n == n), None)
    if report is None or part is None:
        raise UnknownThing(f"there is no file {n} of message {message_id} in this account")
    _require_kept(facts, load_decision(row.decision)["parts"], n)
    content = row.content if row.content is not None else blobs.get(account, message_id, row.sha256)
    octets = decode_part(content, part)
    # a release that decodes otherwise must not hand out, under an old judgement, octets that nobody scanned
    if hashlib.sha256(octets).hexdigest() != report.sha256:
        raise Withheld("it does not read as it did when it was scanned; it must be judged anew")
    return AttachedFile(report.name, octets)


def _require_kept(facts: Facts, judged: Sequence[Mapping[str, Any]], n: int) -> None:
    """Raises Withheld. Nothing of a message that a scanner named is given out, whichever file it meant."""
    if facts.scan.status is ScanStatus.INFECTED:
        names = ", ".join(dict.fromkeys(f.name for f in facts.scan.findings))
        raise Withheld(f"the message is infected: {names}" if names else "the message is infected")
    fate = next((p for p in judged if p["n"] == n), None)
    if fate is None:
        raise Withheld("it was never judged")
    if fate["disposition"] != PartDisposition.KEPT:
        raise Withheld(
            f"it is {fate['disposition']}: {fate['reason']}" if fate["reason"] else f"it is {fate['disposition']}"
        )
