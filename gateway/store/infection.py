"""Whether any scan ever called a message infected: the one it came with, or one of later days with newer signatures."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from gateway.core.decision import Facts
from gateway.core.reports import ScanStatus
from gateway.store.events import lines_of
from gateway.store.tables import Event
from gateway.store.tables.columns import columns

_e = columns(Event)

SCANS = frozenset({"scan", "rescan"})
"""Stages whose lines tell of a scan, with the outcome `infected` and `findings` in their detail."""
UNNAMED = "no name given"


def infection(connection: Connection, account_id: str, trace_id: str, facts: Facts | None) -> str:
    """What was found, by its names; empty where no scan found anything.

    A message that a later scan called clean stays infected: signatures are withdrawn by mistake, too.
    """
    infected = facts is not None and facts.scan.status is ScanStatus.INFECTED
    names = [f.name for f in facts.scan.findings] if facts is not None and infected else []
    query = select(*_e).where(_e.account_id == account_id, _e.trace_id == trace_id).order_by(_e.id)
    for row in connection.execute(query):
        for line in lines_of(row):
            if line["stage"] in SCANS and line["outcome"] == ScanStatus.INFECTED.value:
                infected = True
                names += _names(line["detail"])
    if not infected:
        return ""
    return ", ".join(dict.fromkeys(n for n in names if n)) or UNNAMED


def _names(detail: Any) -> list[str]:
    return [str(f.get("name", "")) for f in detail.get("findings", ())]
