"""`/traces` and `/events`: what happened to each transaction."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from gateway.store import pages
from gateway.web import shapes
from gateway.web.access import Member, Paged, Served, account_router

router = account_router("traces")

_TRACE = r"^[A-Za-z2-7]{16}$"
TraceId = Annotated[str, Path(pattern=_TRACE, description="The second word of the SMTP reply; letters in any case.")]


@router.get("/traces/{trace_id}", response_model=shapes.Trace)
async def get_trace(caller: Member, parts: Served, trace_id: TraceId) -> Response:
    """One transaction with its events, oldest first."""
    return await parts.answer(shapes.Trace, pages.trace, parts.store, caller.account_id, trace_id)


@router.get("/events", response_model=shapes.Page[shapes.LoggedEvent])
async def list_events(
    caller: Member,
    parts: Served,
    wanted: Paged,
    trace: Annotated[str | None, Query(pattern=_TRACE, description="Only events of this trace.")] = None,
) -> Response:
    """Events of all transactions, newest first."""
    page = shapes.Page[shapes.LoggedEvent]
    return await parts.answer(page, pages.events, parts.store, caller.account_id, wanted, trace=trace)
