"""Make a ticket of a message that was ignored."""

from __future__ import annotations

from gateway.commands.line import OpenLine
from gateway.commands.release import done
from gateway.core.errors import InvalidInput
from gateway.core.outcome import Outcome
from gateway.core.reports import ScanStatus
from gateway.journey import Again
from gateway.store.stored_message import stored_message

ELSEWHERE = {
    "quarantined": "; let it go on with `gateway quarantine release`",
    "parked": "; run it again with `gateway parked rerun`",
}


async def open_message(line: OpenLine, account_id: str, message_id: str) -> Outcome:
    """Decided anew from the facts as they were, with everything off that keeps it from a ticket; its files are judged as
    before. Raises UnknownThing, and InvalidInput for a message that was not ignored or that a scan called infected.
    """
    found = await line.store_pool(stored_message, line.store, line.blobs, account_id, message_id)
    if found.disposition != "ignored" or found.facts is None:
        cure = ELSEWHERE.get(found.disposition, "")
        raise InvalidInput(f"message {message_id} is {found.disposition}, not ignored{cure}")
    if found.facts.scan.status is ScanStatus.INFECTED:
        names = ", ".join(f.name for f in found.facts.scan.findings)
        raise InvalidInput(f"message {message_id} is infected ({names}); what a scan called infected is never opened")
    return done(await line.intake.again(found.envelope, message_id, Again(found.facts, opened=True)), message_id)
