"""The HTTP server: uvicorn in the worker's own loop, on sockets the supervisor owns."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence

import uvicorn

from gateway.commands.check_mailbox import MailboxChecks
from gateway.commands.line import OpenLine
from gateway.core.errors import Surroundings
from gateway.offload import Offload
from gateway.store.backlog import reachable
from gateway.web.app import make_app
from gateway.web.figures import Figures, LoopLag
from gateway.web.readiness import Check, Readiness

HEADER_BYTES = 16 * 1024
"""Longest request line with all header fields; no request of the API is near it."""
GRACE_SECONDS = 5


class WebServer:
    """Requests have threads of their own, and those who watch one apart: neither these nor a database that hangs may hold
    up mail.
    """

    def __init__(self, line: OpenLine, checks: MailboxChecks, lag: LoopLag, listeners: Mapping[str, Check]) -> None:
        """`line`: what is released goes it again. `listeners`: those that readiness asks besides the database."""
        store = self._store = line.store
        self._pools = pool, watching = Offload("web", 2), Offload("watch", 1)
        self._watching = watching
        app = make_app(
            store=store,
            blobs=line.blobs,
            pool=pool,
            checks=checks,
            readiness=Readiness({"database": self._database, **listeners}),
            figures=Figures(store, watching),
            lag=lag,
            line=line,
        )
        self._long_work = app.state.parts.long_work
        config = uvicorn.Config(
            app,
            http="h11",
            h11_max_incomplete_event_size=HEADER_BYTES,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]  # signals are the worker's
        self._serving: asyncio.Task[None] | None = None

    async def _database(self) -> str:
        try:
            await self._watching(reachable, self._store)
        except Surroundings as error:
            return str(error)
        return ""

    def begin(self, sockets: Sequence[socket.socket]) -> asyncio.Task[None]:
        """The task that serves, until `end`."""
        self._serving = asyncio.create_task(self._server.serve(sockets=list(sockets)))
        return self._serving

    async def end(self) -> None:
        """When the answers under way are given, at most GRACE_SECONDS. An error of the task is for whoever keeps it."""
        self._server.should_exit = True
        if self._serving:
            await asyncio.wait([self._serving])
        for pool in (*self._pools, self._long_work):
            pool.close()
