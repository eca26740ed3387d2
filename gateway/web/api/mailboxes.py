"""`/mailboxes`: whether their forwarding is known, and the challenge that finds out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from gateway.core.errors import InvalidInput, UnknownThing
from gateway.web import forwarding_shapes
from gateway.web.access import Admin, Parts, Served, account_router
from gateway.web.openapi import withheld
from gateway.web.problems import Problem

router = account_router("mailboxes")

Address = Annotated[
    str,
    Path(max_length=600, pattern=r"^[^\x00-\x20\x7f]+@[^\x00-\x20\x7f]+$", description="The mailbox's public address."),
]


@router.get(
    "/mailboxes/{address}/check",
    response_model=forwarding_shapes.Forwarding,
    responses={
        403: withheld("The key's scope is not `admin`: who has Google's code and link can confirm a forwarding.")
    },
)
async def get_mailbox_check(caller: Admin, parts: Served, address: Address) -> Response:
    """The forwarders that are known, what the last challenge showed so far, and what Google asks."""
    return await parts.answer(forwarding_shapes.Forwarding, parts.checks.state, caller.account_id, address)


@router.post(
    "/mailboxes/{address}/check",
    response_model=forwarding_shapes.Forwarding,
    responses={
        403: withheld("The key's scope is not `admin`."),
        409: withheld("There is no relay to send by, or nothing to check; the detail says what to do."),
    },
)
async def post_mailbox_check(
    caller: Admin,
    parts: Served,
    address: Address,
    anew: Annotated[bool, Query(description="Send another challenge though one is under way.")] = False,
) -> Response:
    """Send a challenge to the mailbox, or go on waiting for one sent lately. Ask with GET what came of it."""
    return await _begun(parts, caller.account_id, address, anew=anew)


async def _begun(parts: Parts, account_id: str, address: str, *, anew: bool) -> Response:
    try:
        return await parts.answer(forwarding_shapes.Forwarding, parts.checks.begin, account_id, address, anew=anew)
    except UnknownThing:
        raise
    except InvalidInput as error:
        raise Problem(409, str(error)) from None
