"""`/tickets`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from gateway.store import pages, ticket_reading
from gateway.web import shapes
from gateway.web.access import Member, Paged, Served, account_router

router = account_router("tickets")

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The ticket's number, without the account's prefix.")]


@router.get("/tickets", response_model=shapes.Page[shapes.TicketSummary])
async def list_tickets(
    caller: Member,
    parts: Served,
    wanted: Paged,
    state: Annotated[shapes.State | None, Query(description="Only tickets in this state.")] = None,
) -> Response:
    """Tickets, newest first, with the ids of their messages."""
    page = shapes.Page[shapes.TicketSummary]
    return await parts.answer(page, pages.tickets, parts.store, caller.account_id, wanted, state=state)


@router.get("/tickets/{number}", response_model=shapes.Ticket)
async def get_ticket(caller: Member, parts: Served, number: Number) -> Response:
    """One ticket with its messages in full and the notifications about it."""
    return await parts.answer(shapes.Ticket, ticket_reading.ticket, parts.store, caller.account_id, number, parts.blobs)
