"""The web application: assembled here, served in the loop of the worker that has the role."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import APIRoute

from gateway import __version__
from gateway.commands.check_mailbox import MailboxChecks
from gateway.commands.line import OpenLine
from gateway.offload import Offload
from gateway.store.blobs import FileBlobs
from gateway.store.engine import Store
from gateway.web.access import API, Parts
from gateway.web.api import accounts, mailboxes, messages, outbox, policies, policy_trials, quarantine, tickets, traces
from gateway.web.figures import Figures, LoopLag
from gateway.web.health import health_router
from gateway.web.middleware import EveryAnswer
from gateway.web.openapi import describe, query_names
from gateway.web.policy_schema import router as policy_schema_router
from gateway.web.problems import add_handlers
from gateway.web.readiness import Readiness

ROUTERS = (
    accounts.router,
    accounts.own,
    mailboxes.router,
    tickets.router,
    messages.router,
    quarantine.router,
    traces.router,
    outbox.router,
    policies.router,
    policy_trials.router,
    policies.one,
)


def make_app(
    *,
    store: Store,
    blobs: FileBlobs,
    pool: Offload,
    checks: MailboxChecks,
    readiness: Readiness,
    figures: Figures,
    lag: LoopLag,
    line: OpenLine | None = None,
) -> FastAPI:
    """All routes. `pool` runs the API's look-ups and is the web's own; `line` takes what is released from quarantine."""
    app = FastAPI(
        title="Mail gateway",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{API}/openapi.json",
        redirect_slashes=False,  # a redirect would name whatever host the client claims to have asked
        generate_unique_id_function=_operation,
    )
    app.state.parts = Parts(store, blobs, pool, checks, line)
    app.add_middleware(EveryAnswer)
    add_handlers(app)
    app.include_router(health_router(readiness, figures, lag))
    app.include_router(policy_schema_router)
    for router in ROUTERS:
        app.include_router(router)
    document = describe(app)
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's own way to hand in a document
    app.state.query_names = query_names(document)
    return app


def _operation(route: APIRoute) -> str:
    return route.name
