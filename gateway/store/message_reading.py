"""Messages as people and programs are shown them, as plain JSON-able values: without their content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select

from gateway.core.decision import Facts
from gateway.core.errors import BlobUnavailable, UnknownThing
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.events import moment
from gateway.store.facts import load_decision, load_facts
from gateway.store.shown_text import is_withheld, shown_text
from gateway.store.stored_message import raw_content
from gateway.store.tables import MailboxRow, MessageRow, Ticket
from gateway.store.tables.columns import columns

_b = columns(MailboxRow)
_m = columns(MessageRow)
_t = columns(Ticket)

Json = dict[str, Any]


def message_rows() -> Select[Any]:
    """What `message_object` needs of every message there is, in no order: the caller names the account."""
    light = [c for c in _m if c.name != "content"]
    return (
        select(*light, _t.number.label("ticket_number"), _b.address.label("mailbox"))
        .select_from(MessageRow)
        .outerjoin(Ticket, (_t.account_id == _m.account_id) & (_t.id == _m.ticket_id))
        .outerjoin(MailboxRow, (_b.account_id == _m.account_id) & (_b.id == _m.mailbox_id))
    )


def messages(store: Store, account: str, *, disposition: str | None = None) -> list[Json]:
    """Message objects, newest first."""
    query = message_rows().where(_m.account_id == account).order_by(_m.id.desc())
    if disposition:
        query = query.where(_m.disposition == disposition)
    with store.read() as connection:
        return [message_object(r) for r in connection.execute(query)]


def message(store: Store, account: str, message_id: str, blobs: FileBlobs | None = None) -> Json:
    """Raises UnknownThing."""
    with store.read() as connection:
        row = connection.execute(message_rows().where(_m.account_id == account, _m.id == message_id)).first()
    if row is None:
        raise UnknownThing(f"there is no message {message_id} in this account")
    return message_object(row) | {"html": message_html(store, blobs, account, row)}


def message_html(store: Store, blobs: FileBlobs | None, account: str, row: Any) -> str | None:
    """The message's HTML, sanitised; read from the raw message, which is the truth. None for parked mail, mail without
    HTML or of which the text was taken, infected mail in quarantine, and where the raw message cannot be read just now or is
    not wanted (no `blobs`).
    """
    facts = load_facts(row.facts) if row.facts and blobs else None
    if facts is None or blobs is None or facts.body == "text" or is_withheld(row.disposition, facts):
        return None
    try:
        content = raw_content(store, blobs, account, row.id)
    except BlobUnavailable:
        return None
    from gateway.parse import parse, sanitised

    html = parse(content).html if content else None
    return sanitised(html) if html else None


def message_object(row: Any) -> Json:
    facts = load_facts(row.facts) if row.facts else None
    decision = load_decision(row.decision) if row.decision else None
    return {
        "id": row.id,
        "trace": row.trace_id,
        "direction": row.direction,
        "ticket": row.ticket_number,
        "mailbox": row.mailbox,
        "internal": row.internal,
        "reverse_path": row.reverse_path,
        "recipients": row.recipients,
        "author": {"name": row.author_name, "address": row.author_address} | _told(facts),
        "subject": row.subject,
        "message_id": row.message_id,
        "received_at": moment(row.received_at),
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "disposition": row.disposition,
        "reason": row.reason,
        "auth": _auth(facts) if facts else None,
        "scan": _scan(facts) if facts else None,
        "attachments": _attachments(facts, decision) if facts and decision else [],
        "rules": decision["hits"] if decision else [],
        "policy_version": row.policy_version,
        "authentication_results": row.results_header,
        "text": shown_text(facts.message.text, row.disposition, facts) if facts else "",
        "text_new": shown_text(facts.message.text_new, row.disposition, facts) if facts else "",
    }


def _told(facts: Facts | None) -> Json:
    """By which header field another author than From's is told, and whom From names; nulls where From is the author."""
    told = facts.told if facts else None
    return {"told_by": told.field if told else None, "from_address": told.written.address if told else None}


def _auth(facts: Facts) -> Json:
    auth = facts.auth
    dkim = [
        {"result": r.result, **{k.removeprefix("header."): v for k, v in r.properties}, "detail": r.detail}
        for r in auth.results
        if r.method == "dkim"
    ]
    return {
        "sender": auth.sender.value,
        "level": auth.level.value,
        "by": auth.by,
        "reason": auth.reason,
        "spf": auth.result_of("spf"),
        "dkim": dkim,
        "dmarc": auth.result_of("dmarc"),
        "arc": auth.result_of("arc"),
        "path": auth.path.value,
        "forwarder": auth.forwarder,
    }


def _scan(facts: Facts) -> Json:
    findings = [{"scanner": f.scanner, "name": f.name, "where": f.where} for f in facts.scan.findings]
    status, said = facts.scan.status.value, dict(facts.scan.facts)
    return {"status": status, "reason": facts.scan.reason, "findings": findings, "facts": said}


def _attachments(facts: Facts, decision: Mapping[str, Any]) -> list[Json]:
    judged = {p["n"]: p for p in decision["parts"]}
    shown = []
    for part in facts.scan.parts:
        fate = judged.get(part.n, {"disposition": "kept", "reason": ""})
        shown.append(
            {
                "n": part.n,
                "name": part.name,
                "declared_type": part.declared_type,
                "detected_type": part.detected_type,
                "size_bytes": part.size_bytes,
                "sha256": part.sha256,
                "inline": part.inline,
                "inside": [{"path": f.path, "type": f.detected_type, "count": f.count} for f in part.inside],
                "disposition": fate["disposition"],
                "reason": fate["reason"],
                "released": fate.get("released"),
            }
        )
    return shown
