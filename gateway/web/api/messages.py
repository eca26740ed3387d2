"""`/messages`: what they are, their octets as they came, the files that the policy kept, and held ones let go."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from gateway.core.errors import InvalidInput, UnknownThing
from gateway.store import message_reading, pages
from gateway.store.files import attached_file, raw_message, shown_image
from gateway.store.releasing import release_file
from gateway.web import shapes
from gateway.web.access import Admin, Member, Paged, Served, account_router
from gateway.web.downloads import download, picture
from gateway.web.openapi import withheld
from gateway.web.problems import Problem

router = account_router("messages")

MessageId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The message's id.")]
PartNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="`n` of the attachment.")]
ContentId = Annotated[str, Path(max_length=1000, description="What follows `cid:` in the `src` of the image, decoded.")]


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
    return await parts.answer(
        shapes.Message, message_reading.message, parts.store, caller.account_id, message_id, parts.blobs
    )


@router.get(
    "/messages/{message_id}/raw",
    response_class=Response,
    responses={
        200: {"description": "The message", "content": {"message/rfc822": {}}},
        403: withheld(
            "A scan called the message infected; or files of it are held or stripped, or it waits in quarantine or is parked, "
            "and the key's scope is not `admin`."
        ),
    },
)
async def get_raw_message(caller: Member, parts: Served, message_id: MessageId) -> Response:
    """The message as it came, byte for byte. Any key where all its files are kept, else a key of scope `admin`; nobody
    where a scan, of whatever day, called it infected.
    """
    admin = caller.scope == "admin"
    content = await parts.pool(raw_message, parts.store, parts.blobs, caller.account_id, message_id, admin=admin)
    return download(content, f"{message_id}.eml", "message/rfc822")


@router.get(
    "/messages/{message_id}/attachments/{n}",
    response_class=Response,
    responses={
        200: {"description": "The file's octets", "content": {"application/octet-stream": {}}},
        403: withheld("The file was stripped or is held, the message waits in quarantine, or it is infected."),
    },
)
async def get_attachment(caller: Member, parts: Served, message_id: MessageId, n: PartNumber) -> Response:
    """A file of a message, decoded. Only files whose disposition is `kept`, and none of an infected message."""
    file = await parts.pool(attached_file, parts.store, parts.blobs, caller.account_id, message_id, n)
    return download(file.content, file.name or f"attachment-{n}")


@router.get(
    "/messages/{message_id}/inline/{content_id:path}",
    response_class=Response,
    responses={
        200: {"description": "The image", "content": {"image/*": {}}},
        403: withheld("The image was stripped or is held, the message waits in quarantine, or it is infected."),
    },
)
async def get_inline_image(caller: Member, parts: Served, message_id: MessageId, content_id: ContentId) -> Response:
    """An image that the message's `html` shows as `cid:<content_id>`: JPEG, PNG, GIF or WebP by its content, and kept."""
    file = await parts.pool(shown_image, parts.store, parts.blobs, caller.account_id, message_id, content_id)
    return picture(file.content, file.name or "image", file.media_type)


@router.post(
    "/messages/{message_id}/attachments/{n}/release",
    response_model=shapes.Message,
    responses={
        403: withheld("The key's scope is not `admin`."),
        409: withheld("The file is not held, or what a scan found forbids it; the detail says why."),
    },
)
async def post_attachment_release(caller: Admin, parts: Served, message_id: MessageId, n: PartNumber) -> Response:
    """Let a held file go: it is `kept` from now on. Its message, with who released it."""
    try:
        await parts.pool(release_file, parts.store, caller.account_id, message_id, n, by=caller.by)
    except UnknownThing:
        raise
    except InvalidInput as error:
        raise Problem(409, str(error)) from None
    return await parts.answer(
        shapes.Message, message_reading.message, parts.store, caller.account_id, message_id, parts.blobs
    )
