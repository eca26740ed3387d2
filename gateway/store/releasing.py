"""What an admin lets go: a held file, with the stored decision and the trace changed together; and the order to release."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway.core.clock import now
from gateway.core.decision import PartDisposition
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.reports import SCANNER_OFF, PartReport, ScanStatus
from gateway.core.trace import Step
from gateway.store.engine import Store, row_lock
from gateway.store.events import event_row, moment
from gateway.store.facts import load_facts
from gateway.store.filing import Kept
from gateway.store.infection import infection
from gateway.store.releases import OUTCOME, STAGE, as_released, text_of
from gateway.store.tables import Event, MessageRow
from gateway.store.tables.columns import columns

_m = columns(MessageRow)

Json = dict[str, Any]


def release_file(store: Store, account_id: str, message_id: str, n: int, *, by: str) -> None:
    """A held file is kept from now on. Raises UnknownThing, and InvalidInput for any that is not held, or infected."""
    with store.write() as connection:
        row_lock(connection, [account_id])
        mine = (_m.account_id == account_id, _m.id == message_id)
        query = select(_m.trace_id, _m.disposition, _m.facts, _m.decision).where(*mine)
        row = connection.execute(query).first()
        if row is None:
            raise UnknownThing(f"there is no message {message_id} in this account")
        document, part, report = _held_part(connection, account_id, message_id, n, row)
        at = now()
        because = part["reason"]
        as_released(part, by, moment(at) or "", because)
        connection.execute(update(MessageRow).where(*mine).values(decision=text_of(document)))
        detail = {"file": n, "name": report.name, "sha256": report.sha256, "by": by}
        detail |= {"was": PartDisposition.HELD.value, "because": because}
        connection.execute(
            insert(Event).values(event_row(row.trace_id, account_id, Step(at, STAGE, OUTCOME, "", detail)))
        )


def _held_part(
    connection: Connection, account_id: str, message_id: str, n: int, row: Any
) -> tuple[Json, Json, PartReport]:
    """The decision's document, the file's place in it, and what the file is. Raises UnknownThing, InvalidInput."""
    if row.facts is None or row.decision is None:
        raise InvalidInput(f"message {message_id} is {row.disposition}: there are no judged files to release")
    facts = load_facts(row.facts)
    document: Json = json.loads(row.decision)
    part = next((p for p in document["decision"]["parts"] if p["n"] == n), None)
    report = next((r for r in facts.scan.parts if r.n == n), None)
    if part is None or report is None:
        raise UnknownThing(
            f"there is no file {n} of message {message_id}; `gateway attachment list {message_id}` shows all"
        )
    if found := infection(connection, account_id, row.trace_id, facts):
        raise InvalidInput(f"message {message_id} is infected ({found}); what a scan called infected is never released")
    _require_held(message_id, n, part)
    if facts.scan.status is ScanStatus.UNSCANNED and facts.scan.reason != SCANNER_OFF:
        cure = "it is scanned as soon as the scanner answers; `gateway doctor` tells whether it does"
        raise InvalidInput(f"message {message_id} has not been scanned yet ({facts.scan.reason}); {cure}")
    if row.disposition == Kept.QUARANTINED.value:
        cure = f"release that first: gateway quarantine release {message_id}"
        raise InvalidInput(f"message {message_id} waits in quarantine as a whole; {cure}")
    return document, part, report


def _require_held(message_id: str, n: int, part: Json) -> None:
    """Raises InvalidInput."""
    if part["disposition"] == PartDisposition.KEPT:
        raise InvalidInput(f"file {n} of message {message_id} is kept already: there is nothing to release")
    if part["disposition"] != PartDisposition.HELD:
        why = f" ({part['reason']})" if part["reason"] else ""
        raise InvalidInput(
            f"file {n} of message {message_id} is {part['disposition']}{why}: such a file is never released, "
            "only the raw message has it"
        )


def order_release(store: Store, account_id: str, message_id: str, *, by: str) -> None:
    """Put on record that a message is let go from quarantine. Raises UnknownThing, and InvalidInput where it may not be."""
    with store.write() as connection:
        row_lock(connection, [account_id])
        query = select(_m.trace_id, _m.disposition, _m.reason, _m.facts)
        row = connection.execute(query.where(_m.account_id == account_id, _m.id == message_id)).first()
        if row is None:
            raise UnknownThing(f"there is no message {message_id} in this account")
        if row.disposition != Kept.QUARANTINED.value:
            raise InvalidInput(f"message {message_id} is {row.disposition}: somebody was quicker")
        if found := infection(connection, account_id, row.trace_id, load_facts(row.facts)):
            raise InvalidInput(
                f"message {message_id} is infected ({found}); what a scan called infected is never released"
            )
        detail = {"by": by, "was": row.disposition, "because": row.reason}
        step = Step(now(), "release", "ordered", "", detail)
        connection.execute(insert(Event).values(event_row(row.trace_id, account_id, step)))
