"""The listeners: sessions, what they share, the work they began, and a stop that finishes it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway import log, metrics
from gateway.core.envelope import Envelope
from gateway.core.networks import in_networks
from gateway.core.outcome import Outcome
from gateway.duties import rounds
from gateway.intake import Intake
from gateway.offload import Offload
from gateway.settings import Settings
from gateway.smtp.clients import Clients
from gateway.smtp.content import Spool
from gateway.smtp.edge import Listener
from gateway.smtp.floods import Floods
from gateway.smtp.recipients import Recipients
from gateway.smtp.session import GatewaySmtp
from gateway.smtp.wire import RECEIVE_OCTETS
from gateway.store.committer import Committer
from gateway.store.directory import Directory
from gateway.store.filing import LogEntry

if TYPE_CHECKING:
    from gateway.certificates import Certificates  # reads X.509: 30 ms that only a gateway with a certificate needs

FLOODS_SECONDS = 5.0
"""How often a flood's ended minutes are looked for."""
KEEPS_SOCKET: Final = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""From Python 3.13 on a server that closes would remove the path of its unix socket, which is the supervisor's: behind the
first reload nobody could connect.
"""


class SmtpServer:
    """Serves sessions on sockets that somebody else opened and keeps."""

    def __init__(
        self,
        settings: Settings,
        *,
        intake: Intake,
        directory: Directory,
        committer: Committer,
        store_pool: Offload,
        clients: Clients,
        certificates: Certificates | None = None,
    ) -> None:
        self.hostname = settings.hostname
        self.max_message_bytes = settings.smtp.max_message_bytes
        self.require_tls = settings.smtp.require_tls
        self.recipients = Recipients(directory, store_pool)
        self.clients = clients
        self._spool_pool = Offload("spool", 2)
        self.spool = Spool(
            settings.data_dir / "spool", settings.smtp.memory_budget_bytes // settings.smtp.workers, self._spool_pool
        )
        self.buffer = memoryview(bytearray(RECEIVE_OCTETS))
        """Octets of any session on their way from the kernel to its wire."""
        self._certificates = certificates
        self._proxies = settings.smtp.proxy_protocol_from
        self._lmtp = {a.removeprefix("lmtp:unix:") for a in settings.smtp.listen if a.startswith("lmtp:unix:")}
        self._intake = intake
        self._committer = committer
        self._floods = Floods(self._write_down)
        self._sessions: set[GatewaySmtp] = set()
        self._work: set[asyncio.Task[Any]] = set()
        self._servers: list[asyncio.Server] = []
        self._log = log.get("smtp")

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        for listening in sockets:
            self._servers.append(await self._serve(listening))

    async def _serve(self, listening: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        local = listening.family == socket.AF_UNIX
        listener = Listener(local=local, lmtp=local and listening.getsockname() in self._lmtp)
        make = loop.create_unix_server if local else loop.create_server
        keep: dict[str, Any] = KEEPS_SOCKET if local else {}
        return await make(lambda: GatewaySmtp(self, listener, loop), sock=listening, backlog=512, **keep)

    @property
    def is_serving(self) -> bool:
        return bool(self._servers) and all(s.is_serving() for s in self._servers)

    async def drain(self, grace_seconds: float) -> bool:
        """Stop accepting, send idle sessions away (421), finish begun transactions. False when the grace ran out."""
        for server in self._servers:
            server.close()
        for session in tuple(self._sessions):
            session.leave()
        drained = await self._finished(grace_seconds)
        self._floods.flush(all=True)
        self._spool_pool.close()
        return drained

    async def _finished(self, grace_seconds: float) -> bool:
        end = asyncio.get_running_loop().time() + grace_seconds
        while self._sessions or self._work:
            if asyncio.get_running_loop().time() > end:
                self._log.warning("grace ran out", sessions=len(self._sessions), work=len(self._work))
                return False
            await asyncio.sleep(0.02)
        return True

    # --- what sessions need ---

    @property
    def tls_context(self) -> ssl.SSLContext | None:
        return self._certificates.context if self._certificates else None

    def is_proxy(self, ip: str) -> bool:
        """May this peer speak for others by a PROXY header?"""
        return bool(self._proxies) and in_networks(ip, self._proxies)

    async def take(self, envelope: Envelope) -> Outcome:
        return await self._intake.take(envelope)

    def shielded(self, work: Coroutine[Any, Any, Outcome]) -> Awaitable[Outcome]:
        """Run as a task that outlives its session."""
        return asyncio.shield(self._keep(asyncio.get_running_loop().create_task(work)))

    def record(self, entry: LogEntry) -> None:
        """Put a line into the delivery log, behind the reply; floods of them become one."""
        metrics.TRANSACTIONS.labels(entry.record.outcome, entry.record.reason).inc()
        self._floods.record(entry)

    def _write_down(self, entry: LogEntry) -> None:
        log.transaction(entry.record, entry.steps)
        self._committer.record_later(entry)

    async def watch_floods(self) -> None:
        """Write down the minutes of floods that have ended. Until cancelled; `drain` writes down the rest."""
        await rounds("floods", self._flush_floods, FLOODS_SECONDS)

    async def _flush_floods(self) -> None:
        self._floods.flush()

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
