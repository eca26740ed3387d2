"""What waits in quarantine, as it is safe to be looked at: words and facts, no octet of a file, no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from gateway.core.addresses import without_controls
from gateway.core.errors import UnknownThing
from gateway.core.outcome import Reason
from gateway.store import message_reading
from gateway.store.engine import Store
from gateway.store.events import moment
from gateway.store.facts import load_decision, load_facts
from gateway.store.filing import Kept
from gateway.store.infection import infection
from gateway.store.pages import MESSAGES, Page, Wanted, rows_of
from gateway.store.tables import Account, MessageRow
from gateway.store.tables.columns import columns

_a, _m = columns(Account), columns(MessageRow)

Json = dict[str, Any]

TEXT_CHARACTERS = 20_000
HEADERS_SHOWN = 100
HEADER_CHARACTERS = 1_000
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of the words behind it: a name that reads `fdp.exe` backwards."""

_WHY: dict[str, str] = {
    "ambiguous": "programs would read it differently, and find other files in it",
    "spam": "a filter takes it for spam",
    Reason.FORGED: "the author's domain disowns it (DMARC)",
    Reason.UNVERIFIED: "nothing proves who wrote it",
    Reason.VIRUS: "a scanner found something in it",
    Reason.ATTACHMENT: "the policy takes no such file",
    Reason.BLOCKED: "the policy blocks it",
    Reason.REJECTED_BY_RULE: "a rule refuses it, and it came from the company's own forwarder",
    Reason.QUARANTINED_BY_RULE: "a rule holds it back",
    Reason.PROBATION: "the new policy would not have ticketed it, the one before did",
    Reason.UNSCANNABLE: "it cannot be scanned to its end",
    Reason.INDETERMINATE: "DNS would not say who wrote it",
    Reason.SCANNER_DOWN: "no scanner has looked at it yet",
}


def quarantined(store: Store, account_id: str, wanted: Wanted) -> Page:
    """What waits, newest first. Raises BadCursor."""
    query = message_reading.message_rows().where(_m.account_id == account_id, _m.disposition == Kept.QUARANTINED.value)
    with store.read() as connection:
        days = _days(connection, account_id)
        rows, cursor = rows_of(connection, query, MESSAGES, wanted)
        items = [message_reading.message_object(r) | _waiting(connection, account_id, r, days) for r in rows]
    return Page([_washed(i) for i in items], cursor)


def quarantined_message(store: Store, account_id: str, message_id: str) -> Json:
    """One message that waits: why, its author and verdicts, its header fields, files and text. Raises UnknownThing."""
    query = message_reading.message_rows().where(_m.account_id == account_id, _m.id == message_id)
    with store.read() as connection:
        row = connection.execute(query).first()
        if row is None:
            raise UnknownThing(f"there is no message {message_id} in this account")
        if row.disposition != Kept.QUARANTINED.value:
            raise UnknownThing(f"message {message_id} is {row.disposition}, not {Kept.QUARANTINED.value}")
        waiting = _waiting(connection, account_id, row, _days(connection, account_id))
    shown = message_reading.message_object(row) | waiting | {"why": list(_why(row)), "headers": _headers(row)}
    if waiting["infected"]:  # said by the scan of a later day, too
        shown |= {"text": "", "text_new": ""}
    text = str(shown["text"])
    preview: Json = _washed(shown | {"text": text[:TEXT_CHARACTERS], "text_is_cut": len(text) > TEXT_CHARACTERS})
    return preview


def _days(connection: Connection, account_id: str) -> int:
    return int(connection.execute(select(_a.quarantine_days).where(_a.id == account_id)).scalar_one())


def _waiting(connection: Connection, account_id: str, row: Any, days: int) -> Json:
    facts = load_facts(row.facts) if row.facts else None
    return {
        "since": moment(row.received_at),
        "expires_at": moment(row.received_at + timedelta(days=days)),
        "infected": infection(connection, account_id, row.trace_id, facts),
    }


def _why(row: Any) -> Iterator[str]:
    yield _WHY.get(row.reason, str(row.reason))
    facts = load_facts(row.facts)
    decision = load_decision(row.decision)
    if decision["text"]:
        yield decision["text"]
    yield f"the author is {facts.auth.sender.value}: {facts.auth.reason}"
    yield from (f"file {p['n']} would be {p['disposition']}: {p['reason']}" for p in decision["parts"] if p["reason"])
    yield from (f"rule {h['rule']} matched" for h in decision["hits"])


def _headers(row: Any) -> list[Json]:
    fields = load_facts(row.facts).message.headers[:HEADERS_SHOWN]
    return [{"name": name, "value": value[:HEADER_CHARACTERS]} for name, value in fields]


def _washed(value: Any) -> Any:
    """Nothing that a terminal or a page would obey, however deep it lies."""
    if isinstance(value, str):
        return "\n".join(_TURNS.sub("", without_controls(line)) for line in value.splitlines())
    if isinstance(value, dict):
        return {name: _washed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_washed(inner) for inner in value]
    return value
