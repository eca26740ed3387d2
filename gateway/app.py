"""The composition root: settings in, a working gateway out. The only file that assembles things."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import uvicorn

from gateway import log
from gateway.certificates import Certificates
from gateway.commands.accounts import ensure_system_account
from gateway.core.errors import InvalidInput, Surroundings
from gateway.core.ports import Strategy
from gateway.core.tokens import Tokens
from gateway.intake import Intake
from gateway.life import Life
from gateway.notify.courier import Relay, parse_relay
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates
from gateway.offload import Offload
from gateway.outbox.worker import OutboxWorker
from gateway.policy import strategies as strategy_package
from gateway.policy.engine import Policy, compile_policy
from gateway.policy.loader import load
from gateway.registry import plugins_of
from gateway.resolver import DnsResolver
from gateway.scan.runner import ScanRunner
from gateway.scan.scanners import clamav
from gateway.settings import Settings
from gateway.smtp.client_table import ClientTable
from gateway.smtp.clients import Clients
from gateway.smtp.replies import final_reply
from gateway.smtp.server import SmtpServer
from gateway.store import migrations, secret
from gateway.store.backlog import reachable
from gateway.store.begun import BegunMarks
from gateway.store.blobs import FileBlobs
from gateway.store.commit import Commit
from gateway.store.committer import Committer
from gateway.store.directory import Directory
from gateway.store.engine import Store
from gateway.store.folders import make_data_dir
from gateway.store.outbox import release_leases
from gateway.store.policies import policy_text
from gateway.store.recall import Recall
from gateway.store.secret import Secret
from gateway.verify.verifier import Verifier
from gateway.web.app import make_app
from gateway.web.figures import Figures, LoopLag
from gateway.web.readiness import Check, Readiness, greeting_of

CHANGE_POLL_SECONDS = 1.0
HTTP_HEADER_BYTES = 16 * 1024
"""Longest request line with all header fields; no request of the API is near it."""


class Policies:
    """Compiled policies by account and version; a version never changes, so nothing here ever goes stale."""

    _KEPT = 512

    def __init__(self, store: Store) -> None:
        self._store = store
        self._compiled: dict[tuple[str, int], Policy] = {}

    def __call__(self, account_id: str, version: int) -> Policy:
        """Raises StoreUnavailable."""
        key = (account_id, version)
        if key not in self._compiled:
            if len(self._compiled) >= self._KEPT:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[key] = compile_policy(load(policy_text(self._store, account_id, version)), version)
        return self._compiled[key]


@dataclass(slots=True)
class Ground:
    """What every command stands on: the database, the blobs, the secret."""

    settings: Settings
    store: Store
    blobs: FileBlobs
    secret: Secret
    tokens: Tokens

    def close(self) -> None:
        self.store.close()


def open_ground(settings: Settings, *, prompt: bool = False) -> Ground:
    """Raises InvalidInput when the schema is older than this release or the secret is missing. `prompt` as in Store."""
    store = Store(settings.database_url, settings.data_dir, prompt=prompt)
    migrations.require_current(store)
    keys = secret.read(settings.secret_key_path)
    secret.compare(store, keys)
    return Ground(settings, store, FileBlobs(settings.blob_dir), keys, keys.tokens())


class Line:
    """The intake with everything it needs, in a running event loop. Used by `serve`, `receive`, `rerun`, `release`."""

    def __init__(
        self,
        ground: Ground,
        on_owed: Callable[[], None] = lambda: None,
        saw_forwarder: Callable[[str], None] = lambda _ip: None,
    ) -> None:
        """`on_owed` is called from the committer's thread when mail is owed, `saw_forwarder` with the address of a client
        that a mailbox's own domain vouches for.
        """
        settings = ground.settings
        self.ground = ground
        self.store_pool = Offload("store", 4)
        self.cpu_pool = Offload("cpu", 2)
        self.directory = Directory(ground.store, settings.domain, settings.hostname)
        self.begun = BegunMarks(settings.data_dir)
        self.policies = Policies(ground.store)
        strategies = plugins_of(strategy_package, "STRATEGY", Strategy)  # type: ignore[type-abstract]
        commit = Commit(strategies, lambda outcome, trace: str(final_reply(outcome, trace)))
        self.committer = Committer(ground.store, ground.blobs, commit, on_owed)
        self.resolver = DnsResolver(
            settings.dns.nameservers or None, settings.dns.port, settings.dns.timeout_seconds, settings.dns.zone_file
        )
        self.scanner = clamav.make(
            settings.clamav.address, settings.clamav.timeout_seconds, settings.data_dir / "clamd.seen"
        )
        self.intake = Intake(
            authserv_id=settings.hostname,
            directory=self.directory,
            verifier=Verifier(
                self.resolver, settings.auth.budget_seconds, self.cpu_pool, settings.auth.trusted_arc_sealers
            ),
            scanner=ScanRunner([self.scanner], self.cpu_pool),
            recall=Recall(ground.store, ground.tokens),
            policy_of=self.policies,
            reply_line=lambda outcome, trace: str(final_reply(outcome, trace)),
            committer=self.committer,
            blobs=ground.blobs,
            begun=self.begun,
            store_pool=self.store_pool,
            cpu_pool=self.cpu_pool,
            saw_forwarder=saw_forwarder,
        )

    @property
    def store(self) -> Store:
        return self.ground.store

    @property
    def blobs(self) -> FileBlobs:
        return self.ground.blobs

    async def __aenter__(self) -> Self:
        self.begun.start()
        self.committer.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.to_thread(self.committer.close)
        self.store_pool.close()
        self.cpu_pool.close()
        self.scanner.close()
        self.begun.end()


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
    return [parse_relay(url, hostname=settings.hostname) for url in settings.relay.url]


def certificates_of(settings: Settings) -> Certificates | None:
    """Raises Surroundings for files that cannot serve: `serve` saw good ones at its start, so a worker that meets bad ones
    (in the middle of a renewal, say) comes again rather than end the whole group, or serve in clear.
    """
    cert, key = settings.smtp.tls_cert, settings.smtp.tls_key
    if cert is None or key is None:
        return None
    try:
        return Certificates(cert, key)
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


class Worker:
    """One process that serves: SMTP sessions, the outbox, the web, in one loop on sockets the supervisor owns."""

    def __init__(self, settings: Settings, roles: frozenset[str], group: frozenset[str] | None = None) -> None:
        """`group`: the roles of all workers of the supervisor together; without it, this one's."""
        self._settings = settings
        self._roles = roles
        self._group = roles if group is None else group
        self._log = log.get("worker")
        self._stop = asyncio.Event()  # binds to the loop of `run`

    async def run(
        self,
        smtp: Sequence[socket.socket],
        http: Sequence[socket.socket],
        life: Life,
        bell: Bell,
        table: ClientTable,
    ) -> bool:
        """Until a signal, or the end of the supervisor. True when everything begun was finished."""
        certificates = certificates_of(self._settings)
        ground = open_ground(self._settings, prompt=True)
        self._listen_for_the_end(life)
        clients = clients_of(self._settings, table)
        async with Line(ground, bell.ring, clients.saw_forwarder) as line:
            await line.store_pool(line.directory.refresh)
            server = smtp_server(line, clients, certificates)
            outbox = self._outbox(line)
            lag = LoopLag()
            pools = Offload("web", 2), Offload("watch", 1)
            web = self._web(line, lag, smtp, *pools)
            if "smtp" in self._roles:
                await server.serve(smtp)
            tasks = [asyncio.create_task(self._watch_changes(line, outbox)), asyncio.create_task(lag.watch())]
            if certificates:
                tasks.append(asyncio.create_task(_watch_certificates(certificates)))
            outbox_task = None
            if "outbox" in self._roles:
                if self._settings.is_sqlite:  # elsewhere other nodes may hold some: leases run out by themselves
                    await line.store_pool(release_leases, ground.store)
                outbox_task = asyncio.create_task(outbox.run())
                asyncio.get_running_loop().add_reader(bell.heard, bell.wake, outbox)
            web_task = asyncio.create_task(web.serve(sockets=list(http))) if "web" in self._roles else None
            tasks.append(asyncio.create_task(life.show()))
            self._log.info("ready", smtp=[_name(s) for s in smtp], http=[_name(s) for s in http])
            await self._stop.wait()
            drained = await server.drain(self._settings.shutdown_grace_seconds)
            await outbox.stop()
            web.should_exit = True
            if web_task:
                await web_task
            await _finish(tasks, outbox_task)
            for pool in pools:
                pool.close()
        ground.close()
        return drained

    def _listen_for_the_end(self, life: Life) -> None:
        """SIGTERM, SIGINT, or the end of the supervisor: whatever ends it ends us, and in good order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        life.watch(self._stop.set)

    def _outbox(self, line: Line) -> OutboxWorker:
        return OutboxWorker(
            store=line.ground.store,
            secret=line.ground.secret,
            tokens=line.ground.tokens,
            templates=Templates(templates_folder()),
            relays=relays_of(self._settings),
            gateway_domain=self._settings.domain,
            store_pool=line.store_pool,
            cpu_pool=line.cpu_pool,
        )

    def _web(
        self, line: Line, lag: LoopLag, smtp: Sequence[socket.socket], pool: Offload, watching: Offload
    ) -> uvicorn.Server:
        """Requests have threads of their own, and those who watch one apart: neither these nor a database that hangs may
        hold up mail.
        """

        async def database() -> str:
            try:
                await watching(reachable, line.ground.store)
            except Surroundings as error:
                return str(error)
            return ""

        app = make_app(
            store=line.ground.store,
            blobs=line.ground.blobs,
            pool=pool,
            readiness=Readiness({"database": database} | self._listener_checks(smtp)),
            figures=Figures(line.ground.store, watching),
            lag=lag,
        )
        config = uvicorn.Config(
            app,
            http="h11",
            h11_max_incomplete_event_size=HTTP_HEADER_BYTES,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
        web = uvicorn.Server(config)
        web.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]  # signals are the worker's
        return web

    def _listener_checks(self, smtp: Sequence[socket.socket]) -> dict[str, Check]:
        """One for each listener of the group: this worker's own, or by the settings where others serve them."""
        if "smtp" not in self._group:
            return {}
        addresses = [_name(s) for s in smtp] or self._settings.smtp.listen
        proxies = self._settings.smtp.proxy_protocol_from
        return {f"smtp {address}": greeting_of(address, proxies) for address in addresses}

    async def _watch_changes(self, line: Line, outbox: OutboxWorker) -> None:
        """Read the change number each second; what moved is looked up anew."""
        while True:
            try:
                if await line.store_pool(line.directory.refresh):
                    outbox.forget()
            except Surroundings as error:
                self._log.warning("change number not read", error=str(error))
            await asyncio.sleep(CHANGE_POLL_SECONDS)


async def _watch_certificates(certificates: Certificates) -> None:
    while True:
        await asyncio.sleep(CHANGE_POLL_SECONDS)
        await asyncio.to_thread(certificates.refresh)


async def _finish(tasks: list[asyncio.Task[None]], outbox_task: asyncio.Task[None] | None) -> None:
    if outbox_task:
        await outbox_task
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _name(listening: socket.socket) -> str:
    """As the settings write it: `host:port`, `[ipv6]:port` or `unix:PATH`."""
    address = listening.getsockname()
    if not isinstance(address, tuple):
        return f"unix:{address}"
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def prepare(settings: Settings) -> None:
    """What `db upgrade` does: schema, secret key, the operator's account. Idempotent.

    Raises InvalidInput, also when the secret is missing with PostgreSQL or not the one of this database.
    """
    make_data_dir(settings.data_dir)
    store = Store(settings.database_url, settings.data_dir)
    if settings.is_sqlite and migrations.current(store) is None:
        # only for a new database: in place of a lost key a fresh one would hide that it is lost
        secret.make(settings.secret_key_path)
    keys = secret.read(settings.secret_key_path)
    migrations.upgrade(store)
    secret.compare(store, keys)
    ensure_system_account(store, keys, settings)
    store.close()


def prepare_to_serve(settings: Settings) -> None:
    """On SQLite the same; on PostgreSQL an older schema is refused: other nodes may be running. Raises InvalidInput."""
    if settings.is_sqlite:
        prepare(settings)
    else:
        open_ground(settings).close()
