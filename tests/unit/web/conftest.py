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

from gateway import app as composition
from gateway.commands.publish import publish
from gateway.offload import Offload
from gateway.store import changes, queries
from gateway.store.tables import MessageRow
from gateway.store.tables.columns import columns
from gateway.web.app import make_app
from gateway.web.figures import Figures, LoopLag
from gateway.web.readiness import Check, Readiness
from gateway.web.security import key_digest
from tests.servers.inprocess import fresh_ground, make_seed, numbered, running

_m = columns(MessageRow)

POLICY = """
attachments: {violation: hold}
block: [{sender: {wildcard: "*@spam.test"}}]
rules:
  - {name: wait, if: {subject: {contains: suspicious}}, then: [quarantine]}
"""
NAME = "Jahresübersicht “2026”\r\n; filename=evil.exe"
EXE = b"MZ" + b"\0" * 58 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n" + bytes(range(256))


def with_files(n: str) -> bytes:
    """HTML and text, a PDF with a hostile name, a program that calls itself a PDF."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "Carol <carol@customer.test>",
        "support@acme.test",
        f"Files {n}",
    )
    message["Message-ID"] = f"<{n}@customer.test>"
    message.set_content("See the files.\n")
    message.add_alternative("<p onclick='x()'>See the <b>files</b>.<script>x()</script></p>", subtype="html")
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="Jahresübersicht “2026”.pdf")
    message.add_attachment(EXE, maintype="application", subtype="pdf", filename="setup.pdf")
    return message.as_bytes().replace(b"\n", b"\r\n")


@dataclass
class World:
    """What was sent, by what became of it: ids of messages, traces."""

    ground: composition.Ground
    keys: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)

    def account_id(self, name: str) -> str:
        return queries.account_id(self.ground.store, name)

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


async def _fill(seed: Path, folder: Path) -> World:
    ground = fresh_ground(seed, folder)
    world = World(ground)
    publish(ground.store, world.account_id("acme"), "block: []\n", note="the first", author="ann")
    publish(ground.store, world.account_id("acme"), POLICY, note="the second", author="ann")
    async with running(ground) as gateway:
        for name, content, to, sender in (
            ("plain", numbered("plain"), "support@acme.gw.test", "<carol@customer.test>"),
            ("files", with_files("files"), "support@acme.gw.test", "<carol@customer.test>"),
            ("infected", with_files("infected"), "support@acme.gw.test", "<carol@customer.test>"),
            ("quarantined", numbered("suspicious"), "support@acme.gw.test", "<carol@customer.test>"),
            (
                "parked",
                numbered("parked", *(f"X-{n}: x" for n in range(1001))),
                "support@acme.gw.test",
                "<carol@customer.test>",
            ),
            ("foreign", with_files("foreign"), "help@globex.gw.test", "<carol@customer.test>"),
        ):
            async with gateway.client() as client:
                reply = await client.mail(content, to, sender=sender)
            assert reply.code == 250, (name, reply)
            world.traces[name] = reply.trace
            world.messages[name] = gateway.trace(reply.trace)["message"]
        async with gateway.client() as client:
            refused = await client.mail(
                numbered("spam", "X: y").replace(b"carol@customer", b"x@spam"), sender="<x@spam.test>"
            )
        assert refused.code == 550, refused
        world.traces["refused"] = (await gateway.log_line(outcome="refused"))["trace"]
    world.ground = composition.open_ground(ground.settings)
    world.change_facts(
        world.messages["infected"],
        lambda f: f["scan"].update(
            status="infected", findings=[{"scanner": "clamav", "name": "Eicar-Test", "where": "message"}]
        ),
    )
    return world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Filled once; tests only read it, or make keys."""
    seed = make_seed(tmp_path_factory.mktemp("seed"))
    world = asyncio.run(_fill(seed, tmp_path_factory.mktemp("world")))
    world.new_key("acme")
    world.new_key("globex")
    yield world
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
        url = path if path.startswith("/") else f"/api/v1/accounts/{self.account}/{path}".rstrip("/")
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"} | more.pop("headers", {})
        return await self.http.request(method, url, headers=headers, **more)

    async def items(self, path: str, **more: Any) -> list[dict[str, Any]]:
        answer = await self(path, **more)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


@contextlib.asynccontextmanager
async def serving(world: World, checks: dict[str, Check] | None = None) -> AsyncIterator[Api]:
    pool, lag = Offload("web", 2), LoopLag()
    store = world.ground.store
    app = make_app(
        store=store, blobs=world.ground.blobs, pool=pool,
        readiness=Readiness(checks or {}), figures=Figures(store, pool), lag=lag,
    )  # fmt: skip
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        yield Api(app, world, http, lag)
    pool.close()


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    async with serving(world) as api:
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
