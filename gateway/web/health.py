"""For those who watch the process: `/healthz`, `/readyz`, `/metrics`. No key, and nothing of any account."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.web.figures import UNHEALTHY_LAG_SECONDS, Figures, LoopLag
from gateway.web.readiness import Readiness


def health_router(readiness: Readiness, figures: Figures, lag: LoopLag) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        """The process itself: it answers, and its event loop is not late."""
        late = lag.worst > UNHEALTHY_LAG_SECONDS
        body = {"status": "event loop late" if late else "ok", "loop_lag_seconds": round(lag.worst, 3)}
        return JSONResponse(body, 503 if late else 200)

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """The process with what it stands on: mail would be taken now."""
        checks = await readiness()
        ready = all(found == "ok" for found in checks.values())
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(await figures.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router
