"""The listeners: sessions, the work they began, and a stop that finishes it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from gateway import log, metrics
from gateway.core.envelope import Envelope
from gateway.core.outcome import Outcome
from gateway.intake import Intake
from gateway.offload import Offload
from gateway.smtp.recipients import Recipients
from gateway.smtp.session import GatewaySmtp
from gateway.store.committer import Committer
from gateway.store.directory import Directory
from gateway.store.filing import LogEntry


class SmtpServer:
    """Serves sessions on sockets that somebody else opened and keeps."""

    def __init__(
        self,
        *,
        hostname: str,
        max_message_bytes: int,
        intake: Intake,
        directory: Directory,
        committer: Committer,
        store_pool: Offload,
        cpu_pool: Offload,
    ) -> None:
        self.hostname = hostname
        self.max_message_bytes = max_message_bytes
        self.recipients = Recipients(directory, store_pool)
        self.cpu_pool = cpu_pool
        self._intake = intake
        self._committer = committer
        self._sessions: set[GatewaySmtp] = set()
        self._work: set[asyncio.Task[Any]] = set()
        self._servers: list[asyncio.Server] = []
        self._log = log.get("smtp")

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for listening in sockets:
            make = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
            self._servers.append(await make(lambda: GatewaySmtp(self, loop), sock=listening, backlog=512))

    @property
    def is_serving(self) -> bool:
        return bool(self._servers) and all(s.is_serving() for s in self._servers)

    async def drain(self, grace_seconds: float) -> bool:
        """Stop accepting, send idle sessions away (421), finish begun transactions. False when the grace ran out."""
        for server in self._servers:
            server.close()
        for session in tuple(self._sessions):
            session.leave()
        end = asyncio.get_running_loop().time() + grace_seconds
        while self._sessions or self._work:
            if asyncio.get_running_loop().time() > end:
                self._log.warning("grace ran out", sessions=len(self._sessions), work=len(self._work))
                return False
            await asyncio.sleep(0.02)
        return True

    # --- what sessions need ---

    async def take(self, envelope: Envelope) -> Outcome:
        return await self._intake.take(envelope)

    def shielded(self, work: Coroutine[Any, Any, Outcome]) -> Awaitable[Outcome]:
        """Run as a task that outlives its session."""
        return asyncio.shield(self._keep(asyncio.get_running_loop().create_task(work)))

    def record(self, entry: LogEntry) -> None:
        """Put a line into the delivery log, behind the reply."""
        metrics.TRANSACTIONS.labels(entry.record.outcome, entry.record.reason).inc()
        self._committer.record_later(entry)

    def _keep(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def joined(self, session: GatewaySmtp) -> None:
        self._sessions.add(session)
        metrics.SESSIONS.inc()

    def left(self, session: GatewaySmtp) -> None:
        if session in self._sessions:
            self._sessions.discard(session)
            metrics.SESSIONS.dec()
