"""Kept files that a scanner calls infected only later, with a clamd whose signatures grow."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway import app
from gateway.commands.audit import audit
from gateway.commands.rescan import Tally, rescan
from gateway.scan.again import ScannerAway
from gateway.store import files, message_reading, ticket_reading
from gateway.store.files import Withheld
from gateway.store.kept_files import Place, Scope
from gateway.store.tables import Outbox
from gateway.store.tables.columns import columns
from tests.servers.clamd import ClamdServer
from tests.servers.inprocess import Gateway, fresh_ground, running

LATE = b"a pattern that only tomorrow's signatures know"
HARMLESS = b"%PDF-1.4 nothing to see here"


def with_files(n: object, *contents: bytes, to: str = "support@acme.test") -> bytes:
    """Mail with these files, called 1.pdf, 2.pdf and so on."""
    head = ["From: Carol <carol@customer.test>", f"To: {to}", f"Subject: Pump {n}", f"Message-ID: <{n}@customer.test>"]
    head += [
        "Date: Mon, 02 Feb 2026 10:00:00 +0000",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="b"',
        "",
    ]
    head += ["--b", "Content-Type: text/plain", "", f"See the files. ({n})"]
    for number, content in enumerate(contents, 1):
        head += ["--b", f'Content-Type: application/pdf; name="{number}.pdf"', "Content-Transfer-Encoding: base64"]
        head += [f'Content-Disposition: attachment; filename="{number}.pdf"', "", base64.b64encode(content).decode()]
    return "\r\n".join([*head, "--b--", ""]).encode()


@pytest.fixture
def growing(clamd: ClamdServer) -> Iterator[ClamdServer]:
    """The common clamd; what it learns is forgotten again."""
    yield clamd
    clamd.forget()


@pytest.fixture
async def gateway(seed: Path, tmp_path: Path, growing: ClamdServer) -> AsyncIterator[Gateway]:
    ground = fresh_ground(seed, tmp_path / "data", GATEWAY_CLAMAV__ADDRESS=growing.address)
    async with running(ground) as gateway:
        yield gateway


async def rescanned(gateway: Gateway, scope: Scope | None = None) -> Tally:
    bench = app.bench_of(gateway.line)
    return await rescan(bench, scope or Scope(), by="test")


async def mailed(gateway: Gateway, content: bytes, *to: str) -> dict[str, Any]:
    """The kept message."""
    async with gateway.client() as client:
        reply = await client.mail(content, *to)
    assert reply.code == 250, reply
    account = "globex" if to and "globex" in to[0] else "acme"
    return next(m for m in gateway.messages(account) if m["trace"] == reply.trace)


def message(gateway: Gateway, message_id: str, account: str = "acme") -> dict[str, Any]:
    return message_reading.message(gateway.ground.store, gateway.account_id(account), message_id)


def told(gateway: Gateway) -> list[str]:
    o = columns(Outbox)
    with gateway.ground.store.read() as connection:
        return sorted(connection.execute(select(o.recipient).where(o.kind == "file-infected")).scalars())


def tags(gateway: Gateway, number: int, account: str = "acme") -> list[str]:
    return list(ticket_reading.ticket(gateway.ground.store, gateway.account_id(account), number)["tags"])


def fates(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(a["disposition"], a["reason"]) for a in message["attachments"]]


async def test_a_file_that_became_infected_is_held_and_told_once(gateway: Gateway, growing: ClamdServer) -> None:
    kept = await mailed(gateway, with_files(1, HARMLESS, b"x" + LATE))
    assert [f for f, _ in fates(kept)] == ["kept", "kept"]
    assert (await rescanned(gateway)).found == []

    growing.learn("Late.Virus", LATE)
    tally = await rescanned(gateway)

    (found,) = tally.found
    assert (found.file.name if found.file else "", found.virus) == ("2.pdf", "Late.Virus.UNOFFICIAL")
    after = message(gateway, kept["id"])
    assert fates(after) == [("kept", ""), ("held", "a virus was found later: Late.Virus.UNOFFICIAL")]
    assert after["scan"]["status"] == "infected"
    assert [f["where"] for f in after["scan"]["findings"]] == [str(after["attachments"][1]["n"])]
    assert tags(gateway, kept["ticket"]) == ["infected-file"]
    assert told(gateway) == ["ann@acme.test", "bob@acme.test"]
    events = [e for e in gateway.trace(kept["trace"])["events"] if e["stage"] == "rescan"]
    assert [(e["outcome"], e["reason"]) for e in events] == [("infected", "Late.Virus.UNOFFICIAL")]
    n = after["attachments"][0]["n"]
    with pytest.raises(Withheld):
        files.attached_file(gateway.ground.store, gateway.ground.blobs, gateway.account_id(), kept["id"], n)

    assert (await rescanned(gateway)).found == []
    assert told(gateway) == ["ann@acme.test", "bob@acme.test"]
    assert audit(gateway.ground.store, gateway.ground.blobs).problems == []


async def test_every_copy_is_treated_the_same_whatever_was_asked_for(gateway: Gateway, growing: ClamdServer) -> None:
    first = await mailed(gateway, with_files("a", LATE))
    second = await mailed(gateway, with_files("b", HARMLESS, LATE))
    other = await mailed(gateway, with_files("c", LATE, to="help@globex.test"), "help@globex.gw.test")
    growing.learn("Late.Virus", LATE)

    tally = await rescanned(gateway, Scope(gateway.account_id("globex")))

    assert (tally.messages, tally.files, len(tally.found)) == (1, 1, 3)
    assert {f.holder.id for f in tally.found} == {first["id"], second["id"], other["id"]}
    assert [f for f, _ in fates(message(gateway, second["id"]))] == ["kept", "held"]
    assert tags(gateway, other["ticket"], "globex") == ["infected-file"]


async def test_each_file_is_scanned_once_however_many_messages_hold_it(gateway: Gateway) -> None:
    for n in range(5):
        await mailed(gateway, with_files(n, HARMLESS, b"%PDF-1.4 of " + str(n).encode()))
    assert (await rescanned(gateway)).files == 6


async def test_a_rescan_that_finds_it_clean_again_lets_nothing_go(gateway: Gateway, growing: ClamdServer) -> None:
    kept = await mailed(gateway, with_files(1, LATE))
    growing.learn("Late.Virus", LATE)
    await rescanned(gateway)
    growing.forget()

    assert (await rescanned(gateway)).found == []
    assert fates(message(gateway, kept["id"]))[0][0] == "held"
    assert message(gateway, kept["id"])["scan"]["status"] == "infected"


async def test_a_scanner_that_is_down_ends_it_and_changes_nothing(gateway: Gateway, growing: ClamdServer) -> None:
    kept = await mailed(gateway, with_files(1, LATE))
    growing.learn("Late.Virus", LATE)
    growing.stop()
    try:
        with pytest.raises(ScannerAway, match="clamav does not answer"):
            await rescanned(gateway)
    finally:
        growing.start()
    assert [f for f, _ in fates(message(gateway, kept["id"]))] == ["kept"]
    assert told(gateway) == []


async def test_copies_on_one_ticket_are_told_once(gateway: Gateway, growing: ClamdServer) -> None:
    """The same mail through two mailboxes: two messages, one ticket."""
    content = with_files(1, LATE, to="support@acme.test, sales@acme.test")
    first = await mailed(gateway, content, "support@acme.gw.test")
    second = await mailed(gateway, b"X-Forwarded-By: sales\r\n" + content, "sales@acme.gw.test")
    assert first["ticket"] == second["ticket"]
    growing.learn("Late.Virus", LATE)

    assert len((await rescanned(gateway)).found) == 2
    assert told(gateway) == ["ann@acme.test", "bob@acme.test"]
    assert audit(gateway.ground.store, gateway.ground.blobs).problems == []


async def test_what_was_ended_goes_on_behind_the_last_place_that_was_kept(
    gateway: Gateway, growing: ClamdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.kept_files.CHUNK", 1)
    kept = [await mailed(gateway, with_files(n, LATE + b" %d" % n)) for n in range(3)]
    growing.learn("Late.Virus", LATE)
    places: list[Place] = []

    async def end_after_the_first(place: Place, _tally: Tally) -> None:
        places.append(place)
        raise KeyError("killed")

    bench = app.bench_of(gateway.line)
    with pytest.raises(KeyError):
        await rescan(bench, Scope(), by="test", on_place=end_after_the_first)
    tally = await rescan(bench, Scope(), by="test", after=places[0])

    assert places == [(gateway.account_id(), kept[2]["id"])]
    assert [f.holder.id for f in tally.found] == [kept[1]["id"], kept[0]["id"]]
    assert all(message(gateway, m["id"])["scan"]["status"] == "infected" for m in kept)
