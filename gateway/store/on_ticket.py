"""What a message leaves on its ticket beside itself: those of Cc who take part, and the notes of rules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from gateway.core.addresses import canonical
from gateway.core.decision import Decision, Note
from gateway.core.message import Address
from gateway.core.trace import Step
from gateway.store.group import Group
from gateway.store.group_state import Joined
from gateway.store.tables import Event, MessageRow, Participant
from gateway.store.tables.columns import columns

_e, _m, _p = columns(Event), columns(MessageRow), columns(Participant)


def add_those_of_cc(group: Group, account_id: str, ticket_id: str, people: Sequence[Address]) -> None:
    """Those who do not take part yet."""
    if not people:
        return
    keys = [canonical(p.address) for p in people]
    mine = (_p.account_id == account_id, _p.ticket_id == ticket_id, _p.address_key.in_(keys))
    known = set(group.connection.execute(select(_p.address_key).where(*mine)).scalars())
    added = group.inserts.get("participant", ())
    known |= {r["address_key"] for r in added if (r["account_id"], r["ticket_id"]) == (account_id, ticket_id)}
    for key, someone in zip(keys, people, strict=True):
        if key not in known:
            group.add_participant(account_id, ticket_id, someone, "cc")


def notes(group: Group, ticket: Joined, decision: Decision) -> list[Step]:
    """What rules wrote on the ticket, as what agents write on it is kept."""
    written = [e for e in decision.effects if isinstance(e, Note)]
    details = [{"ticket": ticket.number, "by": f"rule {n.rule}", "text": n.note} for n in written]
    return [Step(group.now, "note", "kept", "", detail) for detail in details]


def fresh_notes(group: Group, account_id: str, ticket: Joined, decision: Decision) -> list[Step]:
    """Those of a copy that no copy before it left: this group's, and what was written before."""
    mine = (_m.account_id == account_id, _m.ticket_id == ticket.id)
    traces = set(group.connection.execute(select(_m.trace_id).where(*mine)).scalars())
    traces |= {r["trace_id"] for r in group.inserts.get("message", ()) if r["ticket_id"] == ticket.id}
    query = select(_e.detail).where(_e.account_id == account_id, _e.trace_id.in_(traces), _e.stage == "note")
    details = [*group.connection.execute(query).scalars()]
    details += [r["detail"] for r in group.inserts.get("event", ()) if r["trace_id"] in traces and r["stage"] == "note"]
    known = {detail.get("text") for detail in details}
    return [step for step in notes(group, ticket, decision) if step.detail["text"] not in known]
