"""Files that an admin let go stay so when their message goes the line again."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from gateway.core.decision import Facts, PartDisposition
from gateway.core.reports import PartReport
from gateway.store.events import lines_of
from gateway.store.infection import infection
from gateway.store.tables import Event
from gateway.store.tables.columns import columns

STAGE, OUTCOME = "file", "released"
"""Of the line in a trace that puts a release on record."""

_e = columns(Event)
Json = dict[str, Any]


def as_released(part: Json, by: str, at: str, because: str) -> None:
    """Of a stored decision: the part is kept from now on, and tells why."""
    part |= {
        "disposition": PartDisposition.KEPT.value,
        "reason": "",
        "released": {"by": by, "at": at, "reason": because},
    }


def text_of(document: Json) -> str:
    """As decisions are written, compact: what is held is found by its text (`holdings.py`)."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def with_releases(connection: Connection, account_id: str, trace_id: str, facts: Facts, decision: str) -> str:
    """`decision`, as JSON, with every file kept that was let go before, whatever the policy makes of it now; without any
    once a scan has found something. From the trace, which a message keeps even while it is parked.
    """
    released = _on_record(connection, account_id, trace_id)
    if not released or infection(connection, account_id, trace_id, facts):
        return decision
    reports = {report.n: report for report in facts.scan.parts}
    document: Json = json.loads(decision)
    for part in document["decision"]["parts"]:
        line = next((r for r in released if _is_of(r["detail"], reports.get(part["n"]))), None)
        if line and part["disposition"] != PartDisposition.KEPT.value:
            as_released(part, line["detail"]["by"], line["at"], line["detail"]["because"])
    return text_of(document)


def _on_record(connection: Connection, account_id: str, trace_id: str) -> list[Json]:
    """The newest first."""
    mine = (_e.account_id == account_id, _e.trace_id == trace_id)
    rows = connection.execute(select(*_e).where(*mine, _e.stage == STAGE, _e.outcome == OUTCOME).order_by(_e.id.desc()))
    return [lines_of(row)[-1] for row in rows]


def _is_of(detail: Json, report: PartReport | None) -> bool:
    """By what is in it too: of a message that is parsed anew another part may have this number."""
    if report is None or detail["file"] != report.n:
        return False
    # older lines tell no SHA-256
    return bool(detail["name"] == report.name and detail.get("sha256", report.sha256) == report.sha256)
