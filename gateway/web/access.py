"""What every route of the API stands on: who asks, for which account, and with which parameters."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from gateway.commands.check_mailbox import MailboxChecks
from gateway.commands.line import OpenLine
from gateway.offload import Offload
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.store.pages import DEFAULT_LIMIT, MOST_LIMIT, Wanted
from gateway.web.long_work import LongWork
from gateway.web.problems import NOTHING_HERE, Mistake, Problem, bad_request
from gateway.web.security import Caller, caller_of

P = ParamSpec("P")
R = TypeVar("R")

API = "/api/v1"
ACCOUNT = f"{API}/accounts/{{account}}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What routes need, in `app.state.parts`. `pool` is the web's own: no request may hold up mail."""

    store: Store
    blobs: FileBlobs
    pool: Offload
    checks: MailboxChecks
    line: OpenLine | None = None
    """For what goes the line again; None where this process has none."""
    long_work: LongWork = field(default_factory=LongWork)

    async def answer(
        self, shape: type[BaseModel], query: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> Response:
        """The result of `query` in its documented shape. Asked, checked and written in a thread: a page can be large."""

        def written() -> bytes:
            return shape.model_validate(query(*args, **kwargs), from_attributes=True).model_dump_json().encode()

        return Response(await self.pool(written), media_type="application/json")


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Served = Annotated[Parts, Depends(parts_of)]


async def keyed(request: Request, parts: Served) -> Caller:
    """Whose key it is. Asked of the database each time: a revoked key opens nothing from that moment. Raises Problem."""
    caller = await parts.pool(caller_of, parts.store, request.headers.get("authorization"))
    if caller is None:
        raise Problem(401, "give a valid API key: Authorization: Bearer <key>")
    return caller


KeyHolder = Annotated[Caller, Depends(keyed)]


async def authorised(
    caller: KeyHolder, account: Annotated[str, Path(description="The account's name; the key must be of this account.")]
) -> Caller:
    """The caller, whose key must be of the account in the path; every scope may read. Raises Problem."""
    if caller.account != account:
        raise Problem(404, NOTHING_HERE)
    return caller


Member = Annotated[Caller, Depends(authorised)]


async def administering(caller: Member) -> Caller:
    """The caller, whose key must be of the scope `admin`: this sends mail, changes whom we trust, or lets go what was held
    back. Raises Problem.
    """
    if caller.scope != "admin" or caller.team is not None:
        raise Problem(403, "this needs a key of scope admin: gateway key add --scope admin")
    return caller


Admin = Annotated[Caller, Depends(administering)]


async def publishing(caller: Member) -> Caller:
    """The caller, whose key must be of the scope `admin`, or a team's own. Raises Problem."""
    if caller.scope == "write" and caller.team:
        return caller
    return await administering(caller)


Publisher = Annotated[Caller, Depends(publishing)]


async def known_parameters(request: Request) -> None:
    """A parameter that a route does not document is a mistake, never passed over: a filter misspelt shows everything."""
    known: frozenset[str] = request.app.state.query_names.get(request.scope["route"].path, frozenset())
    given = Counter(name for name, _ in request.query_params.multi_items())
    takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
    mistakes = [
        Mistake(where=f"query: {name[:80]}", what="there is no such parameter here", cure=_meant(name, known) or takes)
        for name in given
        if name not in known
    ]
    mistakes += [
        Mistake(where=f"query: {name}", what=f"given {times} times", cure="give it once")
        for name, times in given.items()
        if name in known and times > 1
    ]
    if mistakes:
        raise bad_request(mistakes)


def _meant(name: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(name[:80], known, n=1)
    return f"did you mean {close[0]}?" if close else ""


def paging(
    cursor: Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LIMIT, description="Most items on the page.")] = DEFAULT_LIMIT,
) -> Wanted:
    return Wanted(limit, cursor)


Paged = Annotated[Wanted, Depends(paging)]


def account_router(tag: str) -> APIRouter:
    """Routes below one account: no request passes without a key of that account, whatever a route's function asks for."""
    return APIRouter(prefix=ACCOUNT, tags=[tag], dependencies=[Depends(authorised), Depends(known_parameters)])
