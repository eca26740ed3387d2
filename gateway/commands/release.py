"""Let a quarantined message go on: it is decided anew from the facts as they were, with quarantine off."""

from __future__ import annotations

from gateway.commands.line import OpenLine
from gateway.core.errors import InvalidInput
from gateway.core.outcome import Outcome
from gateway.core.reports import ScanStatus
from gateway.journey import Again
from gateway.store.queries import stored_message


async def release(line: OpenLine, account_id: str, message_id: str) -> Outcome:
    """Make the ticket that quarantine withheld, with its notices.

    Raises UnknownThing, and InvalidInput for a message that is not in quarantine or that a scan called infected.
    """
    found = await line.store_pool(stored_message, line.store, line.blobs, account_id, message_id)
    if found.disposition != "quarantined" or found.facts is None:
        raise InvalidInput(f"message {message_id} is {found.disposition}, not quarantined: there is nothing to release")
    if found.facts.scan.status is ScanStatus.INFECTED:
        names = ", ".join(f.name for f in found.facts.scan.findings)
        raise InvalidInput(f"message {message_id} is infected ({names}); what a scan called infected is never released")
    return await line.intake.again(found.envelope, message_id, Again(found.facts, released=True))
