"""Errors as RFC 9457 tells them (`application/problem+json`), everywhere: a client has one thing to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from gateway.core.errors import BlobUnavailable, Surroundings, UnknownThing
from gateway.store.files import Withheld
from gateway.store.pages import BadCursor
from gateway.web.policy_shapes import Replay

MEDIA_TYPE = "application/problem+json"
NOTHING_HERE = "there is nothing here"
"""For what never was and for what is another account's: the same words."""
_SHOWN = 80
RETRY_SECONDS = 5


class Mistake(BaseModel):
    """One thing wrong with a request."""

    where: Annotated[str, Field(description="The part of the request, for example `query: limit`.")]
    what: str
    cure: str


class PolicyProblem(BaseModel):
    """One mistake in a policy. `line` and `column` count from 1."""

    line: int
    column: int
    path: Annotated[str, Field(description="The place in the document, for example `rules[2].if.sender`.")]
    message: str


class ProblemDocument(BaseModel):
    """The body of every answer that is no success (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: Annotated[
        list[Mistake] | None, Field(description="With 400: every mistake by itself. With 422: the team that is none.")
    ] = None
    problems: Annotated[
        list[PolicyProblem] | None, Field(description="With 422: what is wrong with the policy, each with its place.")
    ] = None
    dropped_rules: Annotated[
        list[str] | None, Field(description="With 409: rules that teams' managers published, and that would be lost.")
    ] = None
    replay: Annotated[
        Replay | None, Field(description="With 409: past mail under the policy, where some of it fares worse.")
    ] = None


class Problem(HTTPException):
    """An error to be told. `errors` lists the mistakes of a request; `more` are other members of the document."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[Mistake] = (), more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, detail)
        self.errors = tuple(errors)
        self.more = dict(more or {})


def bad_request(errors: Sequence[Mistake]) -> Problem:
    return Problem(400, "; ".join(f"{e.where}: {e.what}; {e.cure}" for e in errors), errors)


def add_handlers(app: FastAPI) -> None:
    """Whatever a route raises, and what the framework says by itself (404, 405, a request that does not fit)."""
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _misfit)
    app.add_exception_handler(UnknownThing, _nothing_here)
    app.add_exception_handler(BadCursor, _bad_cursor)
    app.add_exception_handler(Withheld, _withheld)
    app.add_exception_handler(BlobUnavailable, _unreadable)
    app.add_exception_handler(Surroundings, _unavailable)
    app.add_exception_handler(Exception, _bug)


def problem_response(
    status: int,
    detail: str,
    errors: Sequence[Mistake] = (),
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    document = ProblemDocument(title=HTTPStatus(status).phrase, status=status, detail=detail, **(more or {}))
    if errors:
        document.errors = list(errors)
    body = document.model_dump(exclude_none=True)
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"
    if isinstance(error, Problem):
        return problem_response(error.status_code, error.detail, error.errors, headers, error.more)
    detail = NOTHING_HERE if error.status_code == 404 else HTTPStatus(error.status_code).description
    return problem_response(error.status_code, detail, (), headers)


async def _misfit(_request: Request, error: Exception) -> Response:
    """A path that does not fit names nothing; for the rest of the request each mistake is told with its cure."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(e["loc"][0] == "path" for e in found):
        return problem_response(404, NOTHING_HERE)
    told = bad_request([_mistake(e) for e in found])
    return problem_response(told.status_code, told.detail, told.errors)


def _mistake(error: Mapping[str, Any]) -> Mistake:
    place, *names = error["loc"]
    given = str(error.get("input"))
    shown = given if len(given) <= _SHOWN else given[:_SHOWN] + "…"
    where = f"{place}: {'.'.join(map(str, names))}" if names else str(place)
    return Mistake(
        where=where, what=f"{shown!r} does not fit", cure=str(error["msg"]).replace("Input should", "it should")
    )


async def _nothing_here(_request: Request, _error: Exception) -> Response:
    return problem_response(404, NOTHING_HERE)


async def _bad_cursor(_request: Request, error: Exception) -> Response:
    what, _, cure = str(error).partition("; ")
    told = bad_request([Mistake(where="query: cursor", what=what, cure=cure)])
    return problem_response(told.status_code, told.detail, told.errors)


async def _withheld(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Withheld)
    return problem_response(403, f"this {error.what} is not given out: {error}")


async def _unreadable(_request: Request, _error: Exception) -> Response:
    detail = "the stored content of this message cannot be read whole; `gateway audit` on the server tells why"
    return problem_response(503, detail, headers={"Retry-After": str(RETRY_SECONDS)})


async def _unavailable(_request: Request, _error: Exception) -> Response:
    return problem_response(503, "please try again", headers={"Retry-After": str(RETRY_SECONDS)})


async def _bug(_request: Request, _error: Exception) -> Response:
    """Starlette raises it on after this answer, and the server writes it to the log."""
    return problem_response(500, "an error of ours; it is in the gateway's log", headers={"Cache-Control": "no-store"})
