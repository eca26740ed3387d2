"""`/outbox`: the notifications owed and sent."""

from __future__ import annotations

from fastapi import Response

from gateway.store import pages
from gateway.web import shapes
from gateway.web.access import Member, Paged, Served, account_router

router = account_router("outbox")


@router.get("/outbox", response_model=shapes.Page[shapes.Notification])
async def list_outbox(caller: Member, parts: Served, wanted: Paged) -> Response:
    """Notifications, newest first, with what the other server said last."""
    page = shapes.Page[shapes.Notification]
    return await parts.answer(page, pages.outbox, parts.store, caller.account_id, wanted)
