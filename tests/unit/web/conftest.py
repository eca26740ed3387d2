"""The web application on a real store that real mail has filled; asked through ASGI, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from gateway.commands import accounts
from gateway.commands.check_mailbox import MailboxChecks
from gateway.commands.publish import publish
from gateway.ground import Ground, open_ground, prepare
from gateway.line import Line
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates
from gateway.offload import Offload
from gateway.store import changes, named, secret
from gateway.store.changes import NewAccount, NewMailbox
from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns
from gateway.store.team_changes import NewAgent
from gateway.web.app import make_app
from gateway.web.figures import Figures, LoopLag
from gateway.web.readiness import Check, Readiness
from gateway.web.security import key_digest
from tests.servers.inprocess import numbered, running, settings_for
from tests.servers.postgres import postgres  # noqa: F401 - a fixture

_m = columns(MessageRow)

POLICY = """
attachments: {violation: hold}
block: [{sender: {wildcard: "*@spam.test"}}]
rules:
  - {name: wait, if: {subject: {contains: suspicious}}, then: [quarantine]}
"""
EXE = b"MZ" + b"\0" * 58 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n" + bytes(range(256))
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


def with_files(n: str) -> bytes:
    """HTML and text, a PDF with a hostile name, a program that calls itself a PDF, a picture that the HTML shows and one
    that it does not.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "Carol <carol@customer.test>",
        "support@acme.test",
        f"Files {n}",
    )
    message["Message-ID"] = f"<{n}@customer.test>"
    message.set_content("See the files.\n")
    html = "<p onclick='x()'>See the <b>files</b>.<script>x()</script><img src=\"cid:logo%2F1@customer.test\"></p>"
    message.add_alternative(html, subtype="html")
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="Jahresübersicht “2026”.pdf")
    message.add_attachment(EXE, maintype="application", subtype="pdf", filename="setup.pdf")
    message.add_attachment(PNG, maintype="image", subtype="png", disposition="inline", cid="<logo/1@customer.test>")
    message.add_attachment(PNG, maintype="image", subtype="png", disposition="inline", cid="<unseen@customer.test>")
    for level, part in enumerate(p for p in message.walk() if p.is_multipart()):
        part.set_boundary(f"=_{n}_{level}")
    return message.as_bytes().replace(b"\n", b"\r\n")


@dataclass
class World:
    """What was sent, by what became of it: ids of messages, traces."""

    ground: Ground
    keys: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    served: tuple[FastAPI, LoopLag, Offload] | None = None
    """The application most tests ask: making one takes longer than asking it."""

    def account_id(self, name: str) -> str:
        return named.account_id(self.ground.store, name)

    def new_key(self, account: str, scope: str = "read") -> tuple[str, str]:
        """(id, key)"""
        key = f"gw_{account}_{scope}_{len(self.keys)}"
        self.keys[key] = account
        return changes.add_key(self.ground.store, self.account_id(account), scope=scope, digest=key_digest(key)), key

    def change_facts(self, message_id: str, change: Any) -> None:
        """Rewrite what is remembered of a message."""
        with self.ground.store.write() as connection:
            facts = json.loads(connection.execute(select(_m.facts).where(_m.id == message_id)).scalar_one())
            change(facts["facts"])
            connection.execute(update(MessageRow).where(_m.id == message_id).values(facts=json.dumps(facts)))


def _prepared(folder: Path, **more: str) -> Ground:
    """Two accounts, each with a mailbox and an agent; `acme` with two policy versions."""
    settings = settings_for(folder, GATEWAY_RELAY__URL=f"file:{folder / 'sent'}", **more)
    secret.make(settings.secret_key_path)
    prepare(settings)
    ground = open_ground(settings)
    for name in ("acme", "globex"):
        new = NewAccount("", name, name.capitalize(), "", b"", "")
        accounts.add_account(ground.store, ground.secret, settings, new)
        account_id = named.account_id(ground.store, name)
        mailbox = NewMailbox(f"support@{name}.test", name.capitalize(), None, None, "support", default=True)
        accounts.add_mailbox(ground.store, settings, account_id, name, mailbox)
        accounts.add_agent(ground.store, ground.settings, account_id, NewAgent(f"ann@{name}.test", "Ann", ("support",)))
    for text, note in (("block: []\n", "the first"), (POLICY, "the second")):
        publish(ground.store, named.account_id(ground.store, "acme"), text, note=note, author="ann")
    return ground


MAIL = {
    "plain": (numbered("plain"), "acme"),
    "files": (with_files("files"), "acme"),
    "infected": (with_files("infected"), "acme"),
    "quarantined": (numbered("suspicious"), "acme"),
    "parked": (numbered("parked", *(f"X-{n}: x" for n in range(1001))), "acme"),
    "large": (numbered("large", text="x" * 300_000), "acme"),
    "foreign": (with_files("foreign"), "globex"),
}


async def _fill(ground: Ground) -> World:
    world = World(ground)
    async with running(ground) as gateway:
        for name, (content, account) in MAIL.items():
            async with gateway.client() as client:
                reply = await client.mail(content, f"support@{account}.gw.test")
            assert reply.code == 250, (name, reply)
            world.traces[name] = reply.trace
            world.messages[name] = gateway.trace(reply.trace)["message"]
        async with gateway.client() as client:
            spam = numbered("spam").replace(b"carol@customer", b"x@spam")
            assert (await client.mail(spam, sender="<x@spam.test>")).code == 550
        world.traces["refused"] = (await gateway.log_line(outcome="refused"))["trace"]
    world.ground = open_ground(ground.settings)
    infected = {"status": "infected", "findings": [{"scanner": "clamav", "name": "Eicar-Test", "where": "message"}]}
    world.change_facts(world.messages["infected"], lambda facts: facts["scan"].update(infected))
    return world


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Filled once a database; tests only read it, or make keys."""
    more = {}
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        server.sql("CREATE DATABASE web")
        more["GATEWAY_DATABASE_URL"] = server.url_of("web")
    world = asyncio.run(_fill(_prepared(tmp_path_factory.mktemp("world"), **more)))
    world.new_key("acme")
    world.new_key("globex")
    yield world
    if world.served:
        world.served[2].close()
    world.ground.close()


@dataclass
class Api:
    """A client of the application. Paths are below the account of the key, unless they begin with a slash."""

    app: FastAPI
    world: World
    http: httpx2.AsyncClient
    lag: LoopLag
    account: str = "acme"

    @property
    def key(self) -> str:
        return next(k for k, a in self.world.keys.items() if a == self.account)

    async def __call__(self, path: str, *, method: str = "GET", key: str | None = None, **more: Any) -> httpx2.Response:
        url = path if path.startswith("/") else f"/api/v1/accounts/{self.account}" + (f"/{path}" if path else "")
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"} | more.pop("headers", {})
        return await self.http.request(method, url, headers=headers, **more)

    async def items(self, path: str, **more: Any) -> list[dict[str, Any]]:
        answer = await self(path, **more)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


def _application(world: World, checks: dict[str, Check]) -> tuple[FastAPI, LoopLag, Offload]:
    pool, lag, store = Offload("web", 2), LoopLag(), world.ground.store
    figures, readiness = Figures(store, pool), Readiness(checks)
    ground = world.ground
    checks = MailboxChecks(store, ground.tokens, Templates(templates_folder()), ground.settings)
    made = make_app(
        store=store,
        blobs=ground.blobs,
        pool=pool,
        checks=checks,
        readiness=readiness,
        figures=figures,
        lag=lag,
        line=Line(ground),
    )
    return made, lag, pool


@contextlib.asynccontextmanager
async def _asked(world: World, app: FastAPI, lag: LoopLag) -> AsyncIterator[Api]:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        yield Api(app, world, http, lag)


@contextlib.asynccontextmanager
async def serving(world: World, checks: dict[str, Check] | None = None) -> AsyncIterator[Api]:
    """An application of one's own, for tests that look at what it remembers."""
    app, lag, pool = _application(world, checks or {})
    async with _asked(world, app, lag) as api:
        yield api
    pool.close()


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    world.served = world.served or _application(world, {})
    async with _asked(world, *world.served[:2]) as api:
        yield api


def problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer, which must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document
