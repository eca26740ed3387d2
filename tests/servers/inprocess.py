"""The gateway within the test's own event loop: real sockets, database, blobs and name server, no processes.

For tests that look at replies and at what is kept, or that break a part on purpose. What processes do (kills, restarts,
signals) is seen through `tests/servers/gateway.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from gateway import app, log
from gateway.commands import accounts
from gateway.configuration import load
from gateway.core.clock import new_id
from gateway.ground import Ground, open_ground, prepare
from gateway.line import Line
from gateway.settings import Settings
from gateway.smtp.client_table import ClientTable
from gateway.smtp.server import SmtpServer
from gateway.store import log_reading, message_reading, named, secret, stored_message
from gateway.store.changes import NewAccount, NewMailbox
from gateway.store.team_changes import NewAgent
from gateway.supervisor import listen
from tests.dnsserver import NameServer
from tests.servers.postgres import PostgresServer

ZONE = {
    ("customer.test", "TXT"): ['"v=spf1 ip4:127.0.0.0/8 -all"'],
    ("_dmarc.customer.test", "TXT"): ['"v=DMARC1; p=none"'],
    ("strict.test", "TXT"): ['"v=spf1 -all"'],
    ("_dmarc.strict.test", "TXT"): ['"v=DMARC1; p=reject"'],
}
"""`customer.test` vouches for every client of a test; `strict.test` disowns all of them; others do not exist."""


_SERVER = "postgres.url"


def settings_for(folder: Path, **more: str) -> Settings:
    environment = {
        "GATEWAY_DATA_DIR": str(folder),
        "GATEWAY_DOMAIN": "gw.test",
        "GATEWAY_HOSTNAME": "mx.gw.test",
        "GATEWAY_CLAMAV__ADDRESS": "off",
        "GATEWAY_DNS__NAMESERVERS": "127.0.0.1",
        "GATEWAY_DNS__PORT": "9",
        "GATEWAY_DNS__TIMEOUT_SECONDS": "5",
    }
    return load(None, environment | more)


SEED_DATABASE = "seed"


def make_seed(folder: Path, server: PostgresServer | None = None) -> Path:
    """A data directory with two accounts: `acme` (support@, billing@, sales@; agents ann and bob), `globex` (help@).

    With `server` its database is PostgreSQL's, and each fresh ground a copy of that one.
    """
    log.set_up("console")
    more = {}
    if server:
        more["GATEWAY_DATABASE_URL"] = server.url_of(SEED_DATABASE)
        server.sql(f"DROP DATABASE IF EXISTS {SEED_DATABASE}")
        server.sql(f"CREATE DATABASE {SEED_DATABASE}")
        secret.make(folder / "secret.key")
        (folder / _SERVER).write_text(server.url)
    settings = settings_for(folder, **more)
    prepare(settings)
    ground = open_ground(settings)
    for name in ("acme", "globex"):
        new = NewAccount("", name, name.capitalize(), "", b"", "", domains=(f"mail.{name}.example",))
        accounts.add_account(ground.store, ground.secret, settings, new)
    acme, globex = (named.account_id(ground.store, n) for n in ("acme", "globex"))
    accounts.add_team(ground.store, acme, "finance")
    for local, team in (("support", "support"), ("billing", "finance"), ("sales", None)):
        mailbox = NewMailbox(f"{local}@acme.test", f"Acme {local}", None, None, team, default=local == "support")
        accounts.add_mailbox(ground.store, settings, acme, "acme", mailbox)
    accounts.add_mailbox(ground.store, settings, globex, "globex", NewMailbox("help@globex.test", "Help", None))
    for local, team in (("ann", "support"), ("bob", "support"), ("fay", "finance")):
        accounts.add_agent(ground.store, settings, acme, NewAgent(f"{local}@acme.test", local.title(), (team,)))
    ground.close()
    return folder


def fresh_ground(seed: Path, folder: Path, **more: str) -> Ground:
    """A copy of the seed: migrating and making RSA keys costs most of a second."""
    shutil.copytree(seed, folder, dirs_exist_ok=True)
    if (folder / _SERVER).exists():
        more["GATEWAY_DATABASE_URL"] = _copy_of_the_seed((folder / _SERVER).read_text())
    return open_ground(settings_for(folder, **more))


def _copy_of_the_seed(server_url: str) -> str:
    name = f"t{new_id()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {SEED_DATABASE}")
    return server_url.rpartition("/")[0] + f"/{name}"


@dataclass(frozen=True)
class Reply:
    """All lines of one reply; `text` is that of the last line, behind its code."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.lines[-1][4:]

    @property
    def enhanced(self) -> str:
        return self.text.partition(" ")[0]

    @property
    def trace(self) -> str:
        return self.text.split()[1]

    def __str__(self) -> str:
        return self.lines[-1]


class Client:
    """An SMTP client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, wire: bytes) -> None:
        self.writer.write(wire)
        await self.writer.drain()

    async def reply(self, seconds: float = 60) -> Reply:
        """The next reply. Raises EOFError when the server has closed instead."""
        lines: list[str] = []
        while True:
            line = await asyncio.wait_for(self.reader.readline(), seconds)
            if not line:
                raise EOFError(lines)
            assert line.endswith(b"\r\n"), line
            lines.append(line[:-2].decode("ascii"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), tuple(lines))

    async def say(self, line: str | bytes) -> Reply:
        await self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def begin(self, *recipients: str, sender: str = "<carol@customer.test>") -> list[Reply]:
        """MAIL and RCPTs; the replies."""
        replies = [await self.say(f"MAIL FROM:{sender}")]
        return replies + [await self.say(f"RCPT TO:<{r}>") for r in recipients]

    async def mail(self, content: bytes, *recipients: str, sender: str = "<carol@customer.test>") -> Reply:
        """A whole transaction of content with CRLF line ends; the reply that ended it."""
        for reply in await self.begin(*(recipients or ("support@acme.gw.test",)), sender=sender):
            if reply.code >= 400:
                return reply
        assert (await self.say("DATA")).code == 354
        await self.send(dotted(content))
        return await self.reply()

    def half_close(self) -> None:
        self.writer.write_eof()

    def cut(self) -> None:
        """Vanish with a reset, as a client that crashed."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def dotted(content: bytes) -> bytes:
    """Content as it goes over the wire: transparent, and ended by the final dot (RFC 5321 section 4.5.2)."""
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return stuffed + (b"" if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n") + b".\r\n"


@dataclass
class Gateway:
    """An open line with its SMTP server; `ground` has the store."""

    ground: Ground
    line: Line
    server: SmtpServer
    port: int

    @contextlib.asynccontextmanager
    async def client(self, *, hello: str | None = "EHLO client.test") -> AsyncIterator[Client]:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            assert (await client.reply()).code == 220
            if hello:
                assert (await client.say(hello)).code == 250
            yield client
        finally:
            await client.close()

    def account_id(self, name: str = "acme") -> str:
        return named.account_id(self.ground.store, name)

    def log(self, **wanted: Any) -> list[dict[str, Any]]:
        return log_reading.log_lines(self.ground.store, log_reading.LogFilter(**wanted))

    def trace(self, trace_id: str) -> dict[str, Any]:
        return log_reading.trace(self.ground.store, trace_id)

    def messages(self, account: str = "acme") -> list[dict[str, Any]]:
        return message_reading.messages(self.ground.store, self.account_id(account))

    def raw(self, message_id: str, account: str = "acme") -> bytes | None:
        return stored_message.raw_content(self.ground.store, self.ground.blobs, self.account_id(account), message_id)

    async def settled(self) -> None:
        """Every line of the delivery log that was begun is written."""
        while self.server._work:
            await asyncio.wait(tuple(self.server._work))

    async def log_line(self, **wanted: Any) -> dict[str, Any]:
        """The newest line; the session may write it after the client has gone."""
        async with asyncio.timeout(60):
            while True:
                await self.settled()
                if lines := self.log(**wanted):
                    return lines[-1]
                await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what nothing tells of; AssertionError when that is over, which is no promise but only an end."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, f"not within {seconds} s"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(ground: Ground, *, zone: dict[tuple[str, str], list[str]] | None = None) -> AsyncIterator[Gateway]:
    """Serve until the block ends, then stop in good order."""
    async with NameServer(ZONE if zone is None else zone).running() as names:
        ground.settings = ground.settings.model_copy(
            update={"dns": ground.settings.dns.model_copy(update={"port": names.port})}
        )
        clients = app.clients_of(ground.settings, ClientTable.alone())
        async with Line(ground, saw_forwarder=clients.saw_forwarder) as line:
            await line.store_pool(line.directory.refresh)
            certificates = app.certificates_of(ground.settings)
            server = app.smtp_server(line, clients, certificates)
            listening = socket.create_server(("127.0.0.1", 0))
            local = [listen(a) for a in ground.settings.smtp.listen if "unix:" in a]
            await server.serve([listening, *local])
            yield Gateway(ground, line, server, listening.getsockname()[1])
            await server.drain(30)
    ground.close()


def numbered(n: object, *headers: str, to: Sequence[str] = ("support@acme.test",), text: str = "It leaks.") -> bytes:
    """A message from Carol that no other `n` gives."""
    lines = ["From: Carol <carol@customer.test>", f"To: {', '.join(to)}", f"Subject: Pump {n}", *headers]
    lines += ["Date: Mon, 02 Feb 2026 10:00:00 +0000", f"Message-ID: <{n}@customer.test>", "", f"{text} ({n})", ""]
    return "\r\n".join(lines).encode()
