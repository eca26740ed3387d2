"""What a later scan says of a kept message: facts, judgement, trace, ticket and notices change in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway.core.addresses import canonical, without_controls
from gateway.core.clock import new_id
from gateway.core.decision import Facts, PartDecision, PartDisposition
from gateway.core.errors import UnknownThing
from gateway.core.notice import NoticeKind
from gateway.core.outcome import Reason
from gateway.core.reports import Finding, ScanReport, ScanStatus
from gateway.core.trace import Step
from gateway.store.assignment import Staff
from gateway.store.engine import Store, row_lock
from gateway.store.events import event_row, lines_of
from gateway.store.facts import dump_facts, load_decision, load_facts
from gateway.store.filing import Kept
from gateway.store.message_row import awaits_scan
from gateway.store.roster import AgentEntry, load_roster
from gateway.store.tables import Account, Event, MessageRow, Outbox, Ticket
from gateway.store.tables.columns import columns
from gateway.store.ticket_changes import record_of_ticket

STAGE = "rescan"
"""Of its lines in a trace; `infection.py` reads them."""
TAG = "infected-file"
FOUND_LATER = "a virus was found later: "

_m, _t, _a, _e, _o = columns(MessageRow), columns(Ticket), columns(Account), columns(Event), columns(Outbox)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Marked:
    """What became of an infected message: its ticket's number, and who is told."""

    ticket: int | None
    told: tuple[str, ...] = ()


def mark_infected(
    store: Store, account_id: str, message_id: str, findings: Sequence[Finding], at: datetime, *, by: str
) -> Marked | None:
    """The message is infected from now on: nothing of it is given out, its named files are held (all of them where a
    finding means the message as a whole), its ticket is flagged, and its readers are told. None where that was so
    already, or where the message is gone. Raises StoreUnavailable, UnreadableFacts.
    """
    with store.write() as connection:
        row_lock(connection, [account_id])
        row = _row(connection, account_id, message_id)
        if row is None:
            return None
        facts = load_facts(row.facts)
        fresh = _not_known(facts.scan, findings)
        if not fresh:
            return None
        held = _held(facts, fresh)
        scan = replace(facts.scan, status=ScanStatus.INFECTED, reason="", findings=(*_viruses(facts.scan), *fresh))
        _keep(connection, row, replace(facts, scan=scan), held)
        step = Step(at, STAGE, ScanStatus.INFECTED.value, _reason(fresh), _detail(facts, fresh, by))
        return _tell(connection, row, step, at)


def settle_scan(
    store: Store,
    account_id: str,
    message_id: str,
    was: Facts,
    scan: ScanReport,
    parts: Sequence[PartDecision],
    at: datetime,
) -> bool:
    """A message that waited for its scan has had it, and nothing was found: `parts` are judged anew. False where somebody
    else changed the message meanwhile. Raises StoreUnavailable.
    """
    with store.write() as connection:
        row_lock(connection, [account_id])
        row = _row(connection, account_id, message_id)
        if row is None or load_facts(row.facts).scan != was.scan:
            return False
        _keep(connection, row, replace(load_facts(row.facts), scan=scan), {p.n: p for p in parts})
        detail: Json = {"findings": [asdict(f) for f in scan.findings], "was": f"{was.scan.status}({was.scan.reason})"}
        detail["files"] = [asdict(p) for p in parts]
        record = event_row(row.trace_id, account_id, Step(at, STAGE, scan.status.value, scan.reason, detail))
        connection.execute(insert(Event).values(record))
    return True


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a kept message was decided: `parts` as the decision's JSON has them."""

    reason: str
    policy_version: int
    parts: tuple[Json, ...]


def judgement_of(store: Store, account_id: str, message_id: str) -> Judgement:
    """Raises UnknownThing, StoreUnavailable."""
    query = select(_m.reason, _m.policy_version, _m.decision).where(_m.account_id == account_id, _m.id == message_id)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None or row.decision is None:
        raise UnknownThing(f"there is no judged message {message_id} in this account")
    return Judgement(row.reason, row.policy_version, tuple(load_decision(row.decision)["parts"]))


def note_scan(store: Store, account_id: str, trace_id: str, scan: ScanReport, at: datetime) -> None:
    """In the trace alone: the message goes the line again with it."""
    detail = {"findings": [asdict(f) for f in scan.findings]}
    with store.write() as connection:
        step = Step(at, STAGE, scan.status.value, scan.reason, detail)
        connection.execute(insert(Event).values(event_row(trace_id, account_id, step)))


def _row(connection: Connection, account_id: str, message_id: str) -> Any:
    shown = (_m.account_id, _m.id, _m.trace_id, _m.ticket_id, _m.disposition, _m.reason, _m.facts, _m.decision)
    query = select(*shown).where(_m.account_id == account_id, _m.id == message_id, _m.facts.is_not(None))
    return connection.execute(query).first()


def _viruses(scan: ScanReport) -> tuple[Finding, ...]:
    """What made it infected before; of an unscannable one the findings say something else."""
    return scan.findings if scan.status is ScanStatus.INFECTED else ()


def _not_known(scan: ScanReport, findings: Iterable[Finding]) -> list[Finding]:
    """Of places that no finding names so far: a virus that is called otherwise today is no news."""
    known = {f.where for f in _viruses(scan)}
    return [f for f in findings if f.where not in known and "message" not in known]


def _held(facts: Facts, findings: Sequence[Finding]) -> dict[int, PartDecision]:
    names: dict[int, list[str]] = {}
    for finding in findings:
        places = [int(finding.where)] if finding.where.isdecimal() else [r.n for r in facts.scan.parts]
        for n in places:
            names.setdefault(n, []).append(finding.name)
    return {n: PartDecision(n, PartDisposition.HELD, FOUND_LATER + _named(found)) for n, found in names.items()}


def _named(names: Iterable[str]) -> str:
    text = ", ".join(dict.fromkeys(names)) or "no name given"
    return without_controls(text).encode("ascii", "replace").decode()[:200]


def _reason(findings: Sequence[Finding]) -> str:
    return _named(f.name for f in findings)


def _keep(connection: Connection, row: Any, facts: Facts, parts: Mapping[int, PartDecision]) -> None:
    values: Json = {"facts": dump_facts(facts), "awaits_scan": awaits_scan(facts.scan)}
    if row.decision:
        values["decision"] = _with_parts(row.decision, parts)
    infected = facts.scan.status is ScanStatus.INFECTED
    if infected and row.disposition == Kept.QUARANTINED.value and row.reason == Reason.SCANNER_DOWN.value:
        values["reason"] = Reason.VIRUS.value
    mine = (_m.account_id == row.account_id, _m.id == row.id)
    connection.execute(update(MessageRow).where(*mine).values(**values))


def _with_parts(decision: str, parts: Mapping[int, PartDecision]) -> str:
    """As it was written, compact: what is held is found by this text. What is stripped stays so."""
    document = json.loads(decision)
    judged = document["decision"]["parts"]
    for part in judged:
        new = parts.get(part["n"])
        if new and part["disposition"] != PartDisposition.STRIPPED.value:
            part |= {"disposition": new.disposition.value, "reason": new.reason}
            part.pop("released", None)
    known = {part["n"] for part in judged}
    judged += [
        {"n": p.n, "disposition": p.disposition.value, "reason": p.reason} for n, p in parts.items() if n not in known
    ]
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _detail(facts: Facts, findings: Sequence[Finding], by: str) -> Json:
    reports = {str(r.n): r for r in facts.scan.parts}
    named = [(f, reports.get(f.where)) for f in findings]
    files = [{"n": r.n, "name": r.name, "sha256": r.sha256, "virus": f.name} for f, r in named if r]
    return {"findings": [asdict(f) for f in findings], "files": files, "was": facts.scan.status.value, "by": by}


def _tell(connection: Connection, row: Any, step: Step, at: datetime) -> Marked:
    """Flag the ticket, owe the notices, and write the event that says whom."""
    account_id = row.account_id
    query = select(*_t).where(_t.account_id == account_id, _t.id == row.ticket_id)
    ticket = connection.execute(query).first() if row.ticket_id else None
    if ticket is None:
        connection.execute(insert(Event).values(event_row(row.trace_id, account_id, step)))
        return Marked(None)
    told = [] if _told_of_these(connection, ticket, step) else _owe(connection, row, ticket, at)
    detail = {**step.detail, "ticket": ticket.number, "recipients": [agent.address for agent in told]}
    connection.execute(insert(Event).values(event_row(row.trace_id, account_id, replace(step, detail=detail))))
    if TAG not in ticket.tags:
        mine = (_t.account_id == account_id, _t.id == ticket.id)
        connection.execute(update(Ticket).where(*mine).values(tags=[*ticket.tags, TAG], updated_at=at))
        flagged = {"ticket": ticket.number, "by": step.detail["by"], "tag": TAG}
        record_of_ticket(connection, account_id, ticket.id, Step(at, "ticket", "flagged", "", flagged))
    return Marked(ticket.number, tuple(agent.address for agent in told))


def _told_of_these(connection: Connection, ticket: Any, step: Step) -> bool:
    """Another message of this ticket has the very same files, and its readers were told."""
    digests = {f["sha256"] for f in step.detail["files"]}
    traces = select(_m.trace_id).where(_m.account_id == ticket.account_id, _m.ticket_id == ticket.id)
    query = select(*_e).where(_e.account_id == ticket.account_id, _e.trace_id.in_(traces), _e.stage == STAGE)
    lines = (line for row in connection.execute(query) for line in lines_of(row))
    known = {
        f["sha256"]
        for line in lines
        if line["stage"] == STAGE
        for f in line["detail"].get("files", ())
        if "sha256" in f
    }
    return bool(digests) and digests <= known


def _owe(connection: Connection, row: Any, ticket: Any, at: datetime) -> list[AgentEntry]:
    """The assignee, else who is told of the team's new tickets; a message is told of once."""
    staff = Staff(load_roster(connection, row.account_id))
    assignee = staff.agent(ticket.assignee_id)
    same = (_o.account_id == row.account_id, _o.message_id == row.id, _o.kind == NoticeKind.FILE_INFECTED.value)
    told = set(connection.execute(select(_o.recipient_key).where(*same)).scalars())
    readers = [a for a in ([assignee] if assignee else staff.of_team(ticket.team_id)) if a.address_key not in told]
    listen_only = connection.execute(select(_a.listen_only).where(_a.id == row.account_id)).scalar_one()
    for agent in readers:
        connection.execute(
            insert(Outbox).values(
                account_id=row.account_id, id=new_id(), trace_id=row.trace_id, ticket_id=ticket.id, message_id=row.id,
                kind=NoticeKind.FILE_INFECTED.value, recipient=agent.address, recipient_key=canonical(agent.address),
                recipient_name=agent.name, agent_id=agent.id, state="withheld" if listen_only else "pending",
                attempts=0, created_at=at, next_at=at, message_id_header="", template="", last_reply="",
            )
        )  # fmt: skip
    return readers
