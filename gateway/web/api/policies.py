"""`/policies`: published versions, which never change."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from gateway.store import pages
from gateway.web import shapes
from gateway.web.access import Member, Paged, Served, account_router

router = account_router("policies")

Version = Annotated[int, Path(ge=0, le=2**31 - 1, description="0 is the empty policy every account begins with.")]


@router.get("/policies", response_model=shapes.Page[shapes.PolicySummary])
async def list_policies(caller: Member, parts: Served, wanted: Paged) -> Response:
    """Published versions, newest first, without their text."""
    page = shapes.Page[shapes.PolicySummary]
    return await parts.answer(page, pages.policies, parts.store, caller.account_id, wanted)


@router.get("/policies/{version}", response_model=shapes.Policy)
async def get_policy(caller: Member, parts: Served, version: Version) -> Response:
    """One version with its text."""
    return await parts.answer(shapes.Policy, pages.policy, parts.store, caller.account_id, version)
