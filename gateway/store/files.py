"""What of a kept message may leave: files as they were scanned and only where the policy kept them, and the raw message."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from gateway.core.decision import Facts, PartDisposition
from gateway.core.errors import GatewayError, UnknownThing
from gateway.core.message import Part
from gateway.core.reports import SCANNER_OFF, PartReport, ScanStatus
from gateway.parse import decode_part, parse, referenced, sanitised
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.facts import load_decision, load_facts
from gateway.store.filing import Kept
from gateway.store.infection import infection
from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns

_m = columns(MessageRow)

SHOWABLE = {"jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}
"""Images that are shown in the text, by content. Never SVG: it is a document with scripts."""
_GONE = ("erased", "expired")


class Withheld(GatewayError):
    """Something that is there and not given out; the text says why, `what` names it."""

    what = "file"


class MessageWithheld(Withheld):
    """The message as a whole, as it came."""

    what = "message"


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """`name` is as the message gives it, free of what is invisible; may be empty. `media_type` is set for images that may
    be shown, by their content.
    """

    name: str
    content: bytes
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A message with what was found of it and decided on its files."""

    row: Any
    facts: Facts
    parts: Sequence[Mapping[str, Any]]
    infection: str


def attached_file(store: Store, blobs: FileBlobs, account: str, message_id: str, n: int) -> AttachedFile:
    """The decoded octets of a kept file. Raises UnknownThing, Withheld, BlobUnavailable, StoreUnavailable."""
    message = _judged(store, account, message_id)
    part, report = _of_number(message, n) if message else (None, None)
    if message is None or part is None or report is None:
        raise UnknownThing(f"there is no file {n} of message {message_id} in this account")
    _require_kept(message, n)
    content = _content(blobs, account, message.row)
    return AttachedFile(report.name, _as_scanned(content, part, report))


def shown_image(store: Store, blobs: FileBlobs, account: str, message_id: str, content_id: str) -> AttachedFile:
    """The octets of an image that the message's HTML, as it is shown, names as `cid:<content_id>`.

    Raises UnknownThing for what is not so named, or is no image to be shown; Withheld, BlobUnavailable, StoreUnavailable.
    """
    message = _judged(store, account, message_id)
    absent = UnknownThing(f"message {message_id} shows no image <{content_id}>")
    named = [p for p in message.facts.message.parts if p.content_id == content_id] if message else []
    if message is None or not named:
        raise absent
    # of several parts with one Content-ID readers take the first; another one must not be slipped in behind it
    part, report = _of_number(message, named[0].n)
    if part is None or report is None or report.detected_type not in SHOWABLE:
        raise absent
    _require_kept(message, part.n)
    content = _content(blobs, account, message.row)
    html = parse(content).html if message.facts.body == "html" else None
    if html is None or content_id not in referenced(sanitised(html)):
        raise absent
    return AttachedFile(report.name, _as_scanned(content, part, report), SHOWABLE[report.detected_type])


def raw_message(store: Store, blobs: FileBlobs, account: str, message_id: str, *, admin: bool) -> bytes:
    """The message as it came, with whatever it carries: to anybody where all of that was let through, to an admin where
    files are held back or nobody judged them, to nobody where a scan named it infected.

    Raises UnknownThing, Withheld, BlobUnavailable, StoreUnavailable.
    """
    with store.read() as connection:
        row = _row(connection, account, message_id)
        facts = load_facts(row.facts) if row and row.facts else None
        found = infection(connection, account, row.trace_id, facts) if row else ""
    if row is None or row.disposition in _GONE:
        raise UnknownThing(f"there is no message {message_id} in this account")
    if found:
        words = "what a scan called infected leaves by no door. `gateway message show` tells what was found"
        raise MessageWithheld(f"it is infected ({found}), and {words}")
    if not admin and (why := _held_back(row, facts)):
        raise MessageWithheld(f"{why}; that takes a key of scope admin: gateway key add --scope admin")
    return _content(blobs, account, row)


def _held_back(row: Any, facts: Facts | None) -> str:
    """Why the raw message says more than its reader may have; empty where it does not."""
    if row.disposition == Kept.QUARANTINED.value:
        return "it waits in quarantine"
    if row.decision is None:
        return f"it is {row.disposition}, and nobody has judged its files"
    scan = facts.scan if facts else None
    if scan and scan.status is ScanStatus.UNSCANNED and scan.reason != SCANNER_OFF:
        return "it was not scanned yet"
    back = [p for p in load_decision(row.decision)["parts"] if p["disposition"] != PartDisposition.KEPT]
    named = ", ".join(f"file {p['n']} is {p['disposition']}" for p in back[:10])
    return f"it holds what is held back ({named})" if back else ""


def _row(connection: Connection, account: str, message_id: str) -> Any:
    light = (_m.trace_id, _m.disposition, _m.facts, _m.decision, _m.content, _m.sha256, _m.id)
    query = select(*light).where(_m.account_id == account, _m.id == message_id)
    return connection.execute(query).first()


def _judged(store: Store, account: str, message_id: str) -> _Judged | None:
    """None where there is no such message, or nobody judged it, or its content is gone."""
    with store.read() as connection:
        row = _row(connection, account, message_id)
        if row is None or row.facts is None or row.decision is None:
            return None
        facts = load_facts(row.facts)
        found = infection(connection, account, row.trace_id, facts)
    return _Judged(row, facts, load_decision(row.decision)["parts"], found)


def _of_number(message: _Judged, n: int) -> tuple[Part | None, PartReport | None]:
    facts = message.facts
    report = next((r for r in facts.scan.parts if r.n == n), None)
    return next((p for p in facts.message.parts if p.n == n), None), report


def _require_kept(message: _Judged, n: int) -> None:
    """Raises Withheld. Nothing of a message that a scanner named is given out, whichever file it meant."""
    if message.infection:
        raise Withheld(f"the message is infected: {message.infection}")
    if message.row.disposition == Kept.QUARANTINED.value:
        raise Withheld("its message waits in quarantine; `gateway quarantine release` lets that go on")
    fate = next((p for p in message.parts if p["n"] == n), None)
    if fate is None:
        raise Withheld("it was never judged")
    if fate["disposition"] != PartDisposition.KEPT:
        raise Withheld(
            f"it is {fate['disposition']}: {fate['reason']}" if fate["reason"] else f"it is {fate['disposition']}"
        )


def _content(blobs: FileBlobs, account: str, row: Any) -> bytes:
    return bytes(row.content) if row.content is not None else blobs.get(account, row.id, row.sha256)


def _as_scanned(content: bytes, part: Part, report: PartReport) -> bytes:
    """Raises Withheld."""
    octets = decode_part(content, part)
    # a release that decodes otherwise must not hand out, under an old judgement, octets that nobody scanned
    if hashlib.sha256(octets).hexdigest() != report.sha256:
        raise Withheld("it does not read as it did when it was scanned; it must be judged anew")
    return octets
