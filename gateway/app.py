"""A worker put together: the roles it serves, in one event loop on sockets the supervisor owns."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gateway import log
from gateway.core.errors import InvalidInput, Surroundings
from gateway.duties import Duties, rounds
from gateway.ground import open_ground
from gateway.last_good import LastGood
from gateway.life import Life
from gateway.line import Line
from gateway.settings import Settings
from gateway.smtp.client_table import ClientTable
from gateway.smtp.clients import Clients
from gateway.smtp.server import SmtpServer
from gateway.store.sole import Sole
from gateway.web.figures import LoopLag
from gateway.web.readiness import Check, greeting_of

if TYPE_CHECKING:
    from gateway.certificates import Certificates
    from gateway.commands.late_scan import Bench
    from gateway.jobs.job import Job
    from gateway.notify.courier import Relay
    from gateway.outbox.worker import OutboxWorker
    from gateway.web.server import WebServer

CHANGE_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bell:
    """A pipe the workers of a supervisor share: whoever commits mail to send rings, the outbox hears. Polling is the
    guarantee; this only saves its second. Other nodes and commands do not ring.
    """

    heard: int
    rung: int

    def ring(self) -> None:
        """From any thread. A full pipe has rung already, and one that cannot be written costs a second of polling."""
        with contextlib.suppress(OSError):
            os.write(self.rung, b".")

    def wake(self, outbox: OutboxWorker) -> None:
        """The reader's side, in the event loop."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.heard, 4096)
        outbox.wake()


def relays_of(settings: Settings) -> list[Relay]:
    """Raises InvalidInput for a URL that names no relay."""
    from gateway.notify.courier import parse_relay

    return [parse_relay(url, hostname=settings.hostname) for url in settings.relay.url]


def certificates_of(settings: Settings, last_good: LastGood | None = None) -> Certificates | None:
    """Raises Surroundings for files that cannot serve where there is no last good pair: `serve` saw good ones at its start,
    so a worker that meets bad ones (in the middle of a renewal, say) comes again rather than end the whole group, or serve
    in clear.
    """
    cert, key = settings.smtp.tls_cert, settings.smtp.tls_key
    if cert is None or key is None:
        return None
    from gateway.certificates import Certificates

    try:
        return Certificates(cert, key, last_good)
    except InvalidInput as error:
        raise Surroundings(str(error)) from error


def clients_of(settings: Settings, table: ClientTable) -> Clients:
    smtp = settings.smtp
    return Clients(
        table,
        max_connections=smtp.max_connections,
        max_connections_per_client=smtp.max_connections_per_client,
        rate_per_client=smtp.rate_per_client,
        rate_per_account=smtp.rate_per_account,
    )


def smtp_server(line: Line, clients: Clients, certificates: Certificates | None) -> SmtpServer:
    """The SMTP edge of an open line."""
    return SmtpServer(
        line.ground.settings,
        intake=line.intake,
        directory=line.directory,
        committer=line.committer,
        store_pool=line.store_pool,
        clients=clients,
        certificates=certificates,
    )


def sole_of(settings: Settings, work: str) -> Sole | None:
    """None with PostgreSQL: other nodes do the same work."""
    return Sole(settings.data_dir / f"{work}.lock") if settings.is_sqlite else None


def outbox_worker(line: Line) -> OutboxWorker:
    """Who sends what an open line owes. Raises InvalidInput."""
    from gateway.notify.folder import templates_folder
    from gateway.notify.render import Templates
    from gateway.outbox.worker import OutboxWorker

    settings = line.ground.settings
    return OutboxWorker(
        store=line.ground.store,
        secret=line.ground.secret,
        tokens=line.ground.tokens,
        templates=Templates(templates_folder()),
        blobs=line.ground.blobs,
        relays=relays_of(settings),
        gateway_domain=settings.domain,
        store_pool=line.store_pool,
        sole=sole_of(settings, "outbox"),
    )


def web_server(line: Line, lag: LoopLag, listeners: dict[str, Check]) -> WebServer:
    """Health and the API over an open line."""
    from gateway.commands.check_mailbox import MailboxChecks
    from gateway.notify.folder import templates_folder
    from gateway.notify.render import Templates
    from gateway.web.server import WebServer

    ground = line.ground
    checks = MailboxChecks(ground.store, ground.tokens, Templates(templates_folder()), ground.settings)
    return WebServer(line, checks, lag, listeners)


def bench_of(line: Line) -> Bench:
    """What scans stored messages, on an open line. In a running event loop. Raises InvalidInput."""
    from gateway.commands.late_scan import Bench
    from gateway.scan.again import ScansAgain

    return Bench(line, ScansAgain.of(line.ground.settings, line.cpu_pool), line.policies)


def found_jobs() -> Mapping[str, Job]:
    from gateway.jobs.job import all_jobs

    return all_jobs()


class Working:
    """Jobs at work, from now on."""

    def __init__(self, line: Line, jobs: Mapping[str, Job]) -> None:
        from gateway.jobs.runner import JobRunner

        self._bench = bench_of(line)
        self._runner = JobRunner(self._bench, jobs, sole=sole_of(line.ground.settings, "jobs"))
        self.task = asyncio.create_task(self._runner.run())

    async def end(self) -> None:
        """When what ran has been cut, and is due again. An error of the task is for whoever keeps it."""
        await self._runner.stop()
        await asyncio.wait([self.task])
        await self._bench.scans.close()


@dataclass(frozen=True, slots=True)
class Sending:
    """An outbox at work."""

    worker: OutboxWorker
    task: asyncio.Task[None]

    async def end(self) -> None:
        """When the attempts under way are recorded. An error of the task is for whoever keeps it."""
        await self.worker.stop()
        await asyncio.wait([self.task])


class Worker:
    """One process that serves: SMTP sessions, outbox, web, jobs. What one role alone needs is imported for that role:
    the web's libraries are a fifth of a start and of a worker's memory.
    """

    def __init__(
        self,
        settings: Settings,
        roles: frozenset[str],
        group: frozenset[str] | None = None,
        last_pair: LastGood | None = None,
    ) -> None:
        """`group`: the roles of all workers of the supervisor together; without it, this one's. `last_pair`: the certificate and
        key that one of them read last.
        """
        self._last_pair = last_pair
        self._settings = settings
        self._roles = roles
        self._group = roles if group is None else group
        self._log = log.get("worker")
        self._stop = asyncio.Event()  # binds to the loop of `run`
        self._orphaned = False
        self._duties = Duties(self._stop)

    async def run(
        self,
        smtp: Sequence[socket.socket],
        http: Sequence[socket.socket],
        life: Life,
        bell: Bell,
        table: ClientTable,
    ) -> bool:
        """Until a signal, the end of the supervisor, or of a part of this worker. False when a part ended by itself; a grace
        that ran out is told to the log, and is no failure.
        """
        certificates = certificates_of(self._settings, self._last_pair)
        ground = open_ground(self._settings, prompt=True)
        self._listen_for_the_end(life)
        clients = clients_of(self._settings, table)
        async with Line(ground, bell.ring, clients.saw_forwarder) as line:
            await line.store_pool(line.directory.refresh)
            server = smtp_server(line, clients, certificates)
            if "smtp" in self._roles:
                await server.serve(smtp)
            # clients are greeted by now, and imports in a thread make none of them wait
            outbox = await self._begin_outbox(line, bell)
            lag = LoopLag()
            web = await self._begin_web(line, lag, smtp, http)
            jobs = await self._begin_jobs(line)
            self._watch(line, outbox, server, certificates)
            self._duties.watch("loop lag", lag.watch())
            self._duties.watch("sign of life", life.show())
            # all is imported, and stays: a look at it for garbage would hold the loop for a tenth of a second
            gc.freeze()
            gc.enable()
            self._log.info("ready", smtp=[_name(s) for s in smtp], http=[_name(s) for s in http])
            await self._stop.wait()
            await self._finish(server, web)
            await asyncio.gather(*(role.end() for role in (outbox, web, jobs) if role))
            await self._duties.cancel()
        ground.close()
        return not self._duties.failed

    def _listen_for_the_end(self, life: Life) -> None:
        """SIGTERM, SIGINT, or the end of the supervisor: whatever ends it ends us, and in good order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        life.watch(self._be_orphaned)

    def _be_orphaned(self) -> None:
        self._orphaned = True
        self._stop.set()

    async def _finish(self, server: SmtpServer, web: WebServer | None) -> None:
        """Transactions that have begun. Pages are answered meanwhile, but not by an orphan: the next group of processes may be
        waiting for the address, and SMTP's is free at once.
        """
        drained = server.drain(self._settings.shutdown_grace_seconds)
        if web and self._orphaned:
            await asyncio.gather(drained, web.end())
        else:
            await drained

    async def _begin_outbox(self, line: Line, bell: Bell) -> Sending | None:
        if "outbox" not in self._roles:
            return None
        outbox = await asyncio.to_thread(outbox_worker, line)
        asyncio.get_running_loop().add_reader(bell.heard, bell.wake, outbox)
        sending = Sending(outbox, asyncio.create_task(outbox.run()))
        self._duties.keep("outbox", sending.task)
        return sending

    async def _begin_jobs(self, line: Line) -> Working | None:
        if "jobs" not in self._roles:
            return None
        jobs = await asyncio.to_thread(found_jobs)
        working = Working(line, jobs)
        self._duties.keep("jobs", working.task)
        return working

    async def _begin_web(
        self, line: Line, lag: LoopLag, smtp: Sequence[socket.socket], http: Sequence[socket.socket]
    ) -> WebServer | None:
        if "web" not in self._roles:
            return None
        web = await asyncio.to_thread(web_server, line, lag, self._listener_checks(smtp))
        self._duties.keep("web", web.begin(http))
        return web

    def _listener_checks(self, smtp: Sequence[socket.socket]) -> dict[str, Check]:
        """One for each listener of the group: this worker's own, or by the settings where others serve them."""
        if "smtp" not in self._group:
            return {}
        addresses = [_name(s) for s in smtp] or self._settings.smtp.listen
        proxies = self._settings.smtp.proxy_protocol_from
        return {f"smtp {address}": greeting_of(address, proxies) for address in addresses}

    def _watch(self, line: Line, outbox: Sending | None, server: SmtpServer, certificates: Certificates | None) -> None:
        """What others change is seen within CHANGE_POLL_SECONDS."""

        async def changes() -> None:
            """Read the change number; what moved is looked up anew."""
            if await line.store_pool(line.directory.refresh) and outbox:
                outbox.worker.forget()

        self._duties.watch("changes", rounds("changes", changes, CHANGE_POLL_SECONDS))
        if certificates:
            renewals = partial(asyncio.to_thread, certificates.refresh)
            self._duties.watch("certificates", rounds("certificates", renewals, CHANGE_POLL_SECONDS))
        self._duties.watch("floods", server.watch_floods())


def _name(listening: socket.socket) -> str:
    """As the settings write it: `host:port`, `[ipv6]:port` or `unix:PATH`."""
    address = listening.getsockname()
    if not isinstance(address, tuple):
        return f"unix:{address}"
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
