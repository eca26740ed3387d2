"""The web application: assembled here, served in the loop of the worker that has the role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway import __version__
from gateway.core.errors import BlobUnavailable, Surroundings
from gateway.offload import Offload
from gateway.store import queries
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.web.security import Caller, caller_of

Check = Callable[[], Awaitable[str]]
"""A readiness check: empty when well, else what is wrong in a few words."""


class Problem(HTTPException):
    """An error as RFC 9457 tells it (`application/problem+json`)."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(status, detail or title)
        self.title = title


@dataclass(frozen=True, slots=True)
class Parts:
    """What routes need, in `app.state.parts`."""

    store: Store
    blobs: FileBlobs
    store_pool: Offload


async def authorised(request: Request, account: str) -> Caller:
    """The caller, whose key must be of the account in the path. Raises Problem."""
    parts: Parts = request.app.state.parts
    caller = await parts.store_pool(caller_of, parts.store, request.headers.get("authorization"))
    if caller is None:
        raise Problem(401, "Unauthorized", "give an API key of this account: Authorization: Bearer <key>")
    if caller.account != account:
        raise Problem(404, "Not Found", "there is nothing here")
    return caller


def make_app(*, store: Store, blobs: FileBlobs, store_pool: Offload, checks: dict[str, Check]) -> FastAPI:
    """The routes; `checks` are what `/readyz` asks."""
    app = FastAPI(
        title="Mail gateway", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json"
    )
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(Surroundings, _unavailable)

    app.state.parts = Parts(store, blobs, store_pool)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        found = {name: await check() for name, check in checks.items()}
        ready = not any(found.values())
        body = {"ready": ready, "checks": {name: wrong or "ok" for name, wrong in found.items()}}
        return JSONResponse(body, status_code=200 if ready else 503)

    @app.get("/api/v1/accounts/{account}/messages/{message_id}/raw", response_class=Response)
    async def raw(message_id: str, caller: Annotated[Caller, Depends(authorised)]) -> Response:
        """The message as it came, byte for byte."""
        try:
            content = await store_pool(queries.raw_content, store, blobs, caller.account_id, message_id)
        except BlobUnavailable as error:
            raise Problem(503, "Service Unavailable", str(error)) from error
        if content is None:
            raise Problem(404, "Not Found", "there is nothing here")
        headers = {
            "Content-Disposition": f'attachment; filename="{message_id}.eml"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return Response(content, media_type="message/rfc822", headers=headers)

    return app


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    title = error.title if isinstance(error, Problem) else str(error.detail)
    body = {"type": "about:blank", "status": error.status_code, "title": title, "detail": str(error.detail)}
    headers = {"WWW-Authenticate": "Bearer"} if error.status_code == 401 else None
    return JSONResponse(body, status_code=error.status_code, media_type="application/problem+json", headers=headers)


async def _unavailable(_request: Request, _error: Exception) -> Response:
    body = {"type": "about:blank", "status": 503, "title": "Service Unavailable", "detail": "please try again"}
    headers = {"Retry-After": "5"}
    return JSONResponse(body, status_code=503, media_type="application/problem+json", headers=headers)
