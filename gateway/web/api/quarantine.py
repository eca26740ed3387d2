"""`/quarantine`: what waits for a person, looked at safely, let go or deleted."""

from __future__ import annotations

from fastapi import Response

from gateway.commands.release import release
from gateway.core.errors import InvalidInput, UnknownThing
from gateway.core.outcome import Accepted, Outcome, Parked
from gateway.store.erasure import erase_quarantined
from gateway.store.quarantine import quarantined, quarantined_message
from gateway.web import shapes
from gateway.web.access import Admin, Member, Paged, Served, account_router
from gateway.web.api.messages import MessageId
from gateway.web.openapi import withheld
from gateway.web.problems import Problem

router = account_router("quarantine")

_NOT_ADMIN = withheld("The key's scope is not `admin`.")
_NOT_NOW = "it could not be decided just now; it still waits in quarantine, please try again"


@router.get("/quarantine", response_model=shapes.Page[shapes.QuarantinedSummary])
async def list_quarantine(caller: Member, parts: Served, wanted: Paged) -> Response:
    """Messages that wait, newest first. A page of large messages may hold fewer than `limit`."""
    page = shapes.Page[shapes.QuarantinedSummary]
    return await parts.answer(page, quarantined, parts.store, caller.account_id, wanted)


@router.get("/quarantine/{message_id}", response_model=shapes.Quarantined)
async def get_quarantined(caller: Member, parts: Served, message_id: MessageId) -> Response:
    """One message that waits: why, its author and verdicts, header fields, files by name, and its text. Never HTML."""
    return await parts.answer(shapes.Quarantined, quarantined_message, parts.store, caller.account_id, message_id)


@router.post(
    "/quarantine/{message_id}/release",
    response_model=shapes.Released,
    responses={403: _NOT_ADMIN, 409: withheld("The message does not wait in quarantine, or is infected.")},
)
async def post_quarantine_release(caller: Admin, parts: Served, message_id: MessageId) -> Response:
    """Let a message go on: it is decided anew with quarantine off, opens or joins its ticket, and the notices leave. Its
    held files stay held.
    """
    if parts.line is None:
        raise Problem(503, "this process takes no mail; on the server: gateway quarantine release")
    try:
        outcome = await release(parts.line, caller.account_id, message_id, by=caller.by)
    except UnknownThing:
        raise
    except InvalidInput as error:
        raise Problem(409, str(error)) from None
    return Response(_told(outcome, message_id).model_dump_json(), media_type="application/json")


def _told(outcome: Outcome, message_id: str) -> shapes.Released:
    """Raises Problem where nothing was decided."""
    match outcome:
        case Accepted():
            return shapes.Released(
                outcome="accepted", reason=outcome.reason.value, message=message_id, ticket=outcome.ticket
            )
        case Parked():
            return shapes.Released(outcome="parked", reason=outcome.reason.value, message=message_id, ticket=None)
        case _:
            raise Problem(503, _NOT_NOW)


@router.delete(
    "/quarantine/{message_id}",
    response_model=shapes.Deleted,
    responses={403: _NOT_ADMIN, 409: withheld("The message does not wait in quarantine.")},
)
async def delete_from_quarantine(caller: Admin, parts: Served, message_id: MessageId) -> Response:
    """Delete a message for good; that it came, and who deleted it, stays on record."""
    try:
        await parts.pool(erase_quarantined, parts.store, parts.blobs, caller.account_id, message_id, by=caller.by)
    except UnknownThing:
        raise
    except InvalidInput as error:
        raise Problem(409, str(error)) from None
    deleted = shapes.Deleted(message=message_id, disposition="erased", by=caller.by)
    return Response(deleted.model_dump_json(), media_type="application/json")
