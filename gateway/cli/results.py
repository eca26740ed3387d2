"""How a message that went along the line ended, for `quarantine release`, `parked rerun` and `receive`."""

from __future__ import annotations

from typing import Any

import typer

from gateway.cli import show
from gateway.core.outcome import Accepted, Deferred, Outcome, Parked, Refused


def json_of(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Accepted():
            kept = {"message": outcome.message_id, "ticket": outcome.ticket, "trace": outcome.trace_id}
            return {"outcome": "accepted", "reason": outcome.reason.value, "duplicate": outcome.duplicate} | kept
        case Parked():
            return {"outcome": "parked", "reason": outcome.reason.value, "message": outcome.message_id}
        case Refused():
            return {"outcome": "refused", "reason": outcome.reason.value, "text": outcome.text}
        case Deferred():
            return {"outcome": "deferred", "reason": outcome.reason.value}


def in_words(outcome: Outcome) -> str:
    """One sentence."""
    match outcome:
        case Accepted(ticket=int(number)):
            return f"accepted: ticket {number}, message {outcome.message_id}, trace {outcome.trace_id}"
        case Accepted(duplicate=True):
            return f"accepted: we have these bytes already, trace {outcome.trace_id}"
        case Accepted():
            return f"accepted: {outcome.reason.value}, message {outcome.message_id}, trace {outcome.trace_id}"
        case Parked():
            return f"parked: {outcome.reason.value}, message {outcome.message_id}"
        case Refused():
            return f"refused: {outcome.reason.value}{', ' + outcome.text if outcome.text else ''}"
        case Deferred():
            return f"deferred: {outcome.reason.value}; try again later"


def report(outcome: Outcome, *, as_json: bool) -> None:
    """What became of the message; ends the command with 1 unless it was filed."""
    if as_json:
        show.document(json_of(outcome))
    if not isinstance(outcome, Accepted):
        show.complain(in_words(outcome))
        raise typer.Exit(1)
    if not as_json:
        show.say(in_words(outcome))
