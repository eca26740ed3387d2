"""`/messages`: what they are, their octets as they came, and the files that the policy kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from gateway.core.errors import UnknownThing
from gateway.store import pages, queries
from gateway.store.files import attached_file
from gateway.web import shapes
from gateway.web.access import Member, Paged, Served, account_router
from gateway.web.downloads import download
from gateway.web.openapi import withheld

router = account_router("messages")

MessageId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The message's id.")]
PartNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="`n` of the attachment.")]


@router.get("/messages", response_model=shapes.Page[shapes.MessageSummary])
async def list_messages(
    caller: Member,
    parts: Served,
    wanted: Paged,
    disposition: Annotated[shapes.Disposition | None, Query(description="Only messages in this state.")] = None,
) -> Response:
    """Messages, newest first, without HTML. A page of large messages may hold fewer than `limit`."""
    page = shapes.Page[shapes.MessageSummary]
    return await parts.answer(page, pages.messages, parts.store, caller.account_id, wanted, disposition=disposition)


@router.get("/messages/{message_id}", response_model=shapes.Message)
async def get_message(caller: Member, parts: Served, message_id: MessageId) -> Response:
    """One message with its sanitised HTML."""
    return await parts.answer(shapes.Message, queries.message, parts.store, caller.account_id, message_id, parts.blobs)


@router.get(
    "/messages/{message_id}/raw",
    response_class=Response,
    responses={200: {"description": "The message", "content": {"message/rfc822": {}}}},
)
async def get_raw_message(caller: Member, parts: Served, message_id: MessageId) -> Response:
    """The message as it came, byte for byte, with whatever it carries."""
    content = await parts.pool(queries.raw_content, parts.store, parts.blobs, caller.account_id, message_id)
    if content is None:
        raise UnknownThing(message_id)
    return download(content, f"{message_id}.eml", "message/rfc822")


@router.get(
    "/messages/{message_id}/attachments/{n}",
    response_class=Response,
    responses={
        200: {"description": "The file's octets", "content": {"application/octet-stream": {}}},
        403: withheld("The file was stripped or is held, or the message is infected."),
    },
)
async def get_attachment(caller: Member, parts: Served, message_id: MessageId, n: PartNumber) -> Response:
    """A file of a message, decoded. Only files whose disposition is `kept`, and none of an infected message."""
    file = await parts.pool(attached_file, parts.store, parts.blobs, caller.account_id, message_id, n)
    return download(file.content, file.name or f"attachment-{n}")
