"""Take a parked message along the line once more, after the fix."""

from __future__ import annotations

from gateway.commands.line import OpenLine
from gateway.core.errors import InvalidInput
from gateway.core.outcome import Accepted, Outcome
from gateway.store.stored_message import stored_message


async def rerun(line: OpenLine, account_id: str, message_id: str) -> Outcome:
    """Judge and file it as if it came now; its row, trace and receipt stay the same.

    What is refused today is quarantined: it was answered 250. Raises UnknownThing, and InvalidInput for a message that
    is not parked.
    """
    found = await line.store_pool(stored_message, line.store, line.blobs, account_id, message_id)
    if found.disposition != "parked":
        raise InvalidInput(f"message {message_id} is {found.disposition}, not parked: there is nothing to run again")
    outcome = await line.intake.again(found.envelope, message_id)
    if isinstance(outcome, Accepted):
        line.begun.acquit(found.envelope.sha256)
    return outcome
