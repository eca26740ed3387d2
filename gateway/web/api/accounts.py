"""`/accounts`: the account of the key."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from gateway.store import listing
from gateway.store.engine import Store
from gateway.store.pages import Page
from gateway.web import shapes
from gateway.web.access import API, KeyHolder, Member, Served, account_router, keyed, known_parameters

router = APIRouter(
    prefix=f"{API}/accounts", tags=["accounts"], dependencies=[Depends(keyed), Depends(known_parameters)]
)
own = account_router("accounts")


def _only(store: Store, account_id: str) -> Page:
    return Page([listing.account(store, account_id)], None)


@router.get("", response_model=shapes.Page[shapes.Account])
async def list_accounts(caller: KeyHolder, parts: Served) -> Response:
    """The account of the key, and no other."""
    return await parts.answer(shapes.Page[shapes.Account], _only, parts.store, caller.account_id)


@own.get("", response_model=shapes.Account)
async def get_account(caller: Member, parts: Served) -> Response:
    """The account."""
    return await parts.answer(shapes.Account, listing.account, parts.store, caller.account_id)
