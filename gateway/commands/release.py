"""Let a quarantined message go on: it is decided anew from the facts as they were, with quarantine off."""

from __future__ import annotations

from gateway.commands.line import OpenLine
from gateway.core.errors import InvalidInput
from gateway.core.outcome import Accepted, Outcome
from gateway.journey import Again
from gateway.store.releasing import order_release
from gateway.store.stored_message import stored_message


async def release(line: OpenLine, account_id: str, message_id: str, *, by: str = "an admin") -> Outcome:
    """Make the ticket that quarantine withheld, with its notices. That `by` ordered it goes on record first: whatever the
    line then makes of the message follows in the same trace.

    Raises UnknownThing, and InvalidInput for a message that is not in quarantine or that a scan called infected.
    """
    found = await line.store_pool(stored_message, line.store, line.blobs, account_id, message_id)
    if found.disposition != "quarantined" or found.facts is None:
        raise InvalidInput(f"message {message_id} is {found.disposition}, not quarantined: there is nothing to release")
    await line.store_pool(order_release, line.store, account_id, message_id, by=by)
    return done(await line.intake.again(found.envelope, message_id, Again(found.facts, released=True)), message_id)


def done(outcome: Outcome, message_id: str) -> Outcome:
    """Raises InvalidInput where the commit found the message otherwise than it was decided on: nothing was changed."""
    if isinstance(outcome, Accepted) and outcome.duplicate:
        meanwhile = "somebody was quicker, or a scan found something in it"
        raise InvalidInput(f"message {message_id}: {meanwhile}; look again: gateway message show {message_id}")
    return outcome
