"""The test virus in every disguise of `airlock/`, over SMTP, past a real clamd: by no door does it leave in any form; and a
harmless twin of each disguise is not lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.store import changes
from gateway.web.security import key_digest
from tests.scenarios.airlock import ARCHIVES, DISGUISES, DOCUMENTS, HARMLESS, VIRUS, Disguise
from tests.scenarios.airlock.leaks import forms_in, forms_in_json, forms_in_mail
from tests.scenarios.airlock.letters import PIXEL
from tests.servers.clamd import ClamdServer
from tests.servers.gateway import Reply, RunningGateway, transaction, wait_until

pytestmark = pytest.mark.xdist_group(
    "airlock"
)  # one gateway has all the mail, and its last tests look at all that left

STRIP = """
attachments: {deny: [], encrypted: accept, max_files: 50}
virus: {infected: strip, unscannable: accept}
"""
QUARANTINE = "virus: {infected: quarantine}"
POLICIES = {"acme": "", "globex": STRIP, "initech": QUARANTINE}
"""An account for each; `acme` has the default."""
MAILBOX = {"acme": "support@acme.gw.test", "globex": "help@globex.gw.test", "initech": "desk@initech.gw.test"}
SOME = 25
"""One page of so many is asked for: a command opens the database anew each time."""
SESSION = 20
"""Messages of one SMTP session."""
INNOCENT = (PIXEL, b"Please see the file.", b"<p>Hi</p>", b"Version: 1")


@dataclass
class Airlock:
    """The gateway with everything that it has sent to anybody."""

    gateway: RunningGateway
    http: httpx2.Client
    relay: Path
    keys: dict[str, str]
    session: contextlib.ExitStack
    client: smtplib.SMTP = field(init=False)
    replies: list[Reply] = field(default_factory=list)

    def send(self, content: bytes, account: str) -> Reply:
        ended = content if content.endswith(b"\r\n") else content + b"\r\n"
        if len(self.replies) % SESSION == 0:
            self.session.close()
            self.client = self.session.enter_context(self.gateway.session())
        reply = transaction(self.client, ended, MAILBOX[account])
        self.replies.append(reply)
        return reply

    def message_of(self, reply: Reply) -> str | None:
        found: str | None = self.gateway.trace(reply.trace)["message"] if reply.code == 250 else None
        return found

    def get(self, account: str, path: str) -> httpx2.Response:
        key = {"Authorization": f"Bearer {self.keys[account]}"}
        return self.http.get(f"/api/v1/accounts/{account}/{path}", headers=key)

    def doors(self, account: str, message_id: str) -> Iterator[tuple[str, httpx2.Response]]:
        """All that a key of scope `read` may ask about a message."""
        message = self.get(account, f"messages/{message_id}")
        yield "message", message
        told = message.json()
        for path in (f"messages/{message_id}/raw", f"quarantine/{message_id}", f"traces/{told['trace']}"):
            yield path, self.get(account, path)
        for n in range(1, len(told["attachments"]) + 3):
            yield f"attachment {n}", self.get(account, f"messages/{message_id}/attachments/{n}")
        yield "inline", self.get(account, f"messages/{message_id}/inline/logo@x")
        if told["ticket"]:
            yield "ticket", self.get(account, f"tickets/{told['ticket']}")


def begun(folder: Path, clamd: ClamdServer) -> RunningGateway:
    relay = f"file:{folder / 'relay'}"
    gateway = RunningGateway(folder, relay=relay, settings={"clamav": {"address": clamd.address}})
    gateway.add_account("initech", "desk@initech.test")
    for account, policy in POLICIES.items():
        gateway.add_agent(account, f"ann@{account}.test")
        if policy:
            changes.publish_policy(gateway.store, gateway.named[account], policy)
    return gateway


@pytest.fixture(scope="module")
def airlock(tmp_path_factory: pytest.TempPathFactory, clamd: ClamdServer) -> Iterator[Airlock]:
    folder = tmp_path_factory.mktemp("airlock")
    with begun(folder, clamd) as gateway:
        keys = {account: f"gw_read_{account}" for account in POLICIES}
        for account, key in keys.items():
            changes.add_key(gateway.store, gateway.named[account], scope="read", digest=key_digest(key))
        gateway.start()
        address = f"http://127.0.0.1:{gateway.http_port}"
        with httpx2.Client(base_url=address, timeout=60) as http, contextlib.ExitStack() as session:
            yield Airlock(gateway, http, folder / "relay", keys, session)
        assert gateway.stop() == 0


def tag(disguise: Disguise, *more: str) -> str:
    """Its name as a word that is safe in any field."""
    return hashlib.sha256("/".join((disguise.name, *more)).encode()).hexdigest()[:16]


def leaks(airlock: Airlock, account: str, message_id: str) -> dict[str, Any]:
    """Doors that gave the virus, and those that gave octets which are nobody's harmless cover."""
    found: dict[str, Any] = {}
    for door, answer in airlock.doors(account, message_id):
        forms = forms_in_json(answer.content) if "json" in answer.headers["content-type"] else forms_in(answer.content)
        if forms:
            found[door] = forms
        elif (
            door.startswith(("attachment", "inline")) and answer.status_code == 200 and not is_innocent(answer.content)
        ):
            found[door] = answer.content[:80]
    return found


def is_innocent(octets: bytes) -> bool:
    return octets.strip().startswith(INNOCENT)


def each(accounts: Iterable[str], disguises: Iterable[Disguise] = DISGUISES) -> list[Any]:
    return [pytest.param(a, d, id=f"{d}, {a}") for d in disguises for a in accounts]


WITH_TEXT = tuple(d for d in DISGUISES if d not in (*ARCHIVES, *DOCUMENTS))
"""Whose text may be what is infected: quarantine shows that."""


@pytest.mark.parametrize(("account", "disguise"), each(("acme", "globex")) + each(("initech",), WITH_TEXT))
def test_by_no_door_does_the_virus_leave(airlock: Airlock, disguise: Disguise, account: str) -> None:
    reply = airlock.send(disguise.build(VIRUS, tag(disguise, account)), account)

    assert reply.code in (250, 550, 554), reply
    assert forms_in(reply.text.encode()) == []
    message_id = airlock.message_of(reply)
    if not message_id or disguise.no_file or (account == "globex" and disguise.lets_through):
        return
    assert leaks(airlock, account, message_id) == {}


@pytest.mark.parametrize(("account", "disguise"), each(("acme",)) + each(("globex",), (*ARCHIVES, *DOCUMENTS)))
def test_a_harmless_twin_is_not_lost(airlock: Airlock, disguise: Disguise, account: str) -> None:
    reply = airlock.send(disguise.build(HARMLESS, tag(disguise, account, "twin")), account)

    if disguise.refused:
        assert reply.code == 550
        assert disguise.refused in reply.text
        return
    assert reply.code == 250, reply
    message = airlock.get(account, f"messages/{airlock.message_of(reply)}").json()
    if message["disposition"] == "ticketed":
        assert message["ticket"]
        fates = {a["disposition"]: a["reason"] for a in message["attachments"]}
        assert all(reason for fate, reason in fates.items() if fate != "kept"), fates
    else:
        assert message["disposition"] == "quarantined", message["reason"]
        assert message["reason"] in ("ambiguous", "attachment"), message


def test_no_notice_has_it(airlock: Airlock) -> None:
    gateway = airlock.gateway
    wait_until(lambda: not gateway.outbox(state="pending"), "all notices have left", 60)
    notices = list(airlock.relay.glob("*.eml"))
    tickets = [t for account in POLICIES for t in gateway.tickets(account)]
    assert len(notices) >= len(tickets) > 0
    words = [tag(d, account).encode() for d in DISGUISES if d.no_file for account in POLICIES]
    contents = [c for c in (n.read_bytes() for n in notices) if not any(word in c for word in words)]
    assert [(f, c) for c in contents if (f := forms_in_mail(c))] == []


def test_no_page_of_a_terminal_has_it(airlock: Airlock) -> None:
    run, gateway = CliRunner(), airlock.gateway
    telling = [tag(d, a, *more) for d in DISGUISES if d.no_file for a in POLICIES for more in ((), ("twin",))]
    for account in POLICIES:
        shown = [m for m in gateway.messages(account) if m["subject"].split()[-1] not in telling]
        pages = [("message", "show", m["id"]) for m in shown[::SOME]]
        pages += [("ticket", "show", str(m["ticket"])) for m in shown[::SOME] if m["ticket"]]
        for page in pages:
            said = run.invoke(
                app, ["--config", str(gateway.config), *page, "--account", account], env={"COLUMNS": "200"}
            )
            assert said.exit_code == 0, said.output
            assert forms_in(said.output.encode()) == []
