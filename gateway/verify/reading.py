"""A message read once, and each form of its body hashed once, for all checks that verify signatures.

DKIM and ARC nearly always sign the same form; of a large message the hash is what both of them cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TypeVar

from gateway.core.ports import AuthEvidence
from gateway.verify.dkim_message import BodyForm, BodyHash, Message, body_hashes, read_message
from gateway.verify.evidence import Evidence, Reading, compute, is_inline

T = TypeVar("T")


async def message_of(evidence: AuthEvidence) -> Message:
    """The message as signatures see it. Raises TimeoutError when the budget is spent."""
    reading = _reading_of(evidence)
    if reading.message is None:
        reading.message = _begin(evidence, read_message, evidence.envelope.content)
    return await asyncio.shield(reading.message)


async def hashes_of(evidence: AuthEvidence, forms: Collection[BodyForm]) -> dict[BodyForm, BodyHash]:
    """The hashes of the body's `forms`. Raises TimeoutError when the budget is spent."""
    message, reading = await message_of(evidence), _reading_of(evidence)
    missing = {form for form in forms if form not in reading.hashes}
    if missing:
        reading.hashes |= dict.fromkeys(missing, _begin(evidence, body_hashes, message, missing))
    # Shielded: a check that is cut must not take the work away from the others.
    return {form: (await asyncio.shield(reading.hashes[form]))[form] for form in forms}


def _reading_of(evidence: AuthEvidence) -> Reading:
    return evidence.reading if isinstance(evidence, Evidence) else Reading()


def _begin(evidence: AuthEvidence, function: Callable[..., T], *args: object) -> asyncio.Future[T]:
    if is_inline(evidence):
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        done.set_result(function(*args))
        return done
    task = asyncio.create_task(compute(evidence, function, *args))
    # Nobody may be left to hear that it was late.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task
