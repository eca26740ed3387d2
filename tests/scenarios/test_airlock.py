"""What is held back: looked at, let go, deleted, expired, and told of; by no door does a byte of it leave before."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from sqlalchemy import select, update

from gateway.commands.audit import audit
from gateway.commands.check_mailbox import MailboxChecks
from gateway.commands.publish import publish
from gateway.core.digest import KIND
from gateway.core.errors import StoreUnavailable
from gateway.notify.folder import templates_folder
from gateway.notify.render import Templates
from gateway.offload import Offload
from gateway.outbox.preparing import Preparation, Prepared
from gateway.store import changes, outbox
from gateway.store.blobs import MARK
from gateway.store.digests import LINES, UNDER_WAY, queue_digests
from gateway.store.erasure import erase_quarantined, expire_quarantined
from gateway.store.tables import Account, MessageRow, Outbox
from gateway.store.tables.columns import columns
from gateway.web.app import make_app
from gateway.web.figures import Figures, LoopLag
from gateway.web.readiness import Readiness
from gateway.web.security import key_digest
from tests.servers.inprocess import Client, Gateway, make_seed, numbered
from tests.servers.postgres import postgres  # noqa: F401 - a fixture

_a, _m, _o = columns(Account), columns(MessageRow), columns(Outbox)

POLICY = """
attachments: {violation: hold}
rules:
  - {name: wait, if: {subject: {contains: suspicious}}, then: [quarantine]}
"""
SECRET = b"MZ" + b"\0" * 58 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0" + b"the held program's own octets" * 20
DAY = timedelta(days=1)
TODAY = datetime.now(UTC)  # one for all: a test over midnight would mean two days by `at`


def with_program(subject: str, size: int = 0) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Carol <carol@customer.test>", "support@acme.test", subject
    message["Message-ID"] = f"<{subject.replace(' ', '.')}@customer.test>"
    message.set_content("See https://evil.example/ in the file.\n" + "x" * 70 * (size // 70) + "\n")
    message.add_attachment(SECRET, maintype="application", subtype="pdf", filename="setup.pdf")
    return message.as_bytes().replace(b"\n", b"\r\n")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def seed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return make_seed(tmp_path_factory.mktemp(f"airlock-{request.param}"), server)


@pytest.fixture(autouse=True)
async def _policy(gateway: Gateway) -> None:
    publish(gateway.ground.store, gateway.account_id(), POLICY)
    await gateway.line.store_pool(gateway.line.directory.refresh)


async def kept(gateway: Gateway, client: Client, content: bytes) -> dict[str, Any]:
    """The message object of mail that was accepted."""
    reply = await client.mail(content)
    assert reply.code == 250, reply
    return next(m for m in gateway.messages() if m["trace"] == reply.trace)


@dataclass
class Asking:
    http: httpx2.AsyncClient
    keys: dict[str, str]

    async def __call__(self, path: str, method: str = "GET", scope: str = "admin") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.keys[scope]}"}
        return await self.http.request(method, f"/api/v1/accounts/acme/{path}", headers=headers)


@pytest.fixture
async def ask(gateway: Gateway) -> AsyncIterator[Asking]:
    ground, pool = gateway.ground, Offload("web", 2)
    checks = MailboxChecks(ground.store, ground.tokens, Templates(templates_folder()), ground.settings)
    app = make_app(
        store=ground.store, blobs=ground.blobs, pool=pool, checks=checks, readiness=Readiness({}),
        figures=Figures(ground.store, pool), lag=LoopLag(), line=gateway.line,
    )  # fmt: skip
    keys = {scope: f"gw_{scope}" for scope in ("read", "admin")}
    for scope, key in keys.items():
        changes.add_key(ground.store, gateway.account_id(), scope=scope, digest=key_digest(key))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        yield Asking(http, keys)
    pool.close()


def prepared(gateway: Gateway, now: datetime | None = None) -> list[Prepared]:
    """All that is owed, as it would go over the wire."""
    ground = gateway.ground
    claims = outbox.claim(ground.store, now or datetime.now(UTC), 100)
    make = Preparation(
        ground.store, ground.secret, ground.tokens, Templates(templates_folder()), ground.blobs, ground.settings.domain
    )
    return make(claims)


def agrees(gateway: Gateway) -> dict[str, int]:
    report = audit(gateway.ground.store, gateway.ground.blobs)
    assert report.problems == []
    return report.counts


# --- quarantine by HTTP ---


async def test_what_is_released_becomes_a_ticket_and_its_held_files_stay_held(
    gateway: Gateway, client: Client, ask: Asking
) -> None:
    message = await kept(gateway, client, with_program("suspicious offer"))
    assert (message["disposition"], message["ticket"]) == ("quarantined", None)

    released = (await ask(f"quarantine/{message['id']}/release", "POST")).json()

    assert (released["outcome"], released["ticket"], released["message"]) == ("accepted", 1, message["id"])
    after = (await ask(f"messages/{message['id']}")).json()
    assert (after["disposition"], after["attachments"][0]["disposition"]) == ("ticketed", "held")
    (order,) = [e for e in gateway.trace(message["trace"])["events"] if e["stage"] == "release"]
    assert order["outcome"] == "ordered"
    assert order["detail"]["by"].startswith("API key ")
    assert (await ask("quarantine")).json()["items"] == []
    assert (await ask(f"quarantine/{message['id']}/release", "POST")).status_code == 409
    agrees(gateway)


async def test_what_a_scan_called_infected_is_never_released(gateway: Gateway, client: Client, ask: Asking) -> None:
    message = await kept(gateway, client, with_program("suspicious virus"))
    with gateway.ground.store.write() as connection:
        facts = json.loads(connection.execute(select(_m.facts).where(_m.id == message["id"])).scalar_one())
        finding = {"scanner": "clamav", "name": "Eicar-Test", "where": "message"}
        facts["facts"]["scan"] |= {"status": "infected", "findings": [finding]}
        connection.execute(update(MessageRow).where(_m.id == message["id"]).values(facts=json.dumps(facts)))

    answer = await ask(f"quarantine/{message['id']}/release", "POST")

    assert answer.status_code == 409
    assert "never released" in answer.json()["detail"]
    assert (await ask(f"quarantine/{message['id']}")).json()["infected"] == "Eicar-Test"
    assert gateway.messages()[0]["disposition"] == "quarantined"
    assert not [e for e in gateway.trace(message["trace"])["events"] if e["stage"] == "release"]


async def test_what_is_deleted_leaves_a_tombstone(gateway: Gateway, client: Client, ask: Asking) -> None:
    message = await kept(gateway, client, with_program("suspicious offer"))

    deleted = (await ask(f"quarantine/{message['id']}", "DELETE")).json()

    assert deleted["disposition"] == "erased"
    assert (await ask(f"messages/{message['id']}/raw")).status_code == 404
    assert (await ask(f"quarantine/{message['id']}")).status_code == 404
    assert (await ask(f"quarantine/{message['id']}", "DELETE")).status_code == 409
    assert agrees(gateway)["erased"] == 1


# --- no byte by any door ---


def traces_of(secret: bytes) -> list[bytes]:
    """A piece of it as it is, and as base64 has it at each of three places of a line."""
    piece = secret[120:180]
    return [piece, *(base64.b64encode(piece[shift:])[2:40] for shift in range(3))]


async def test_no_byte_of_a_held_file_leaves_by_any_door_until_it_is_released(
    gateway: Gateway, client: Client, ask: Asking
) -> None:
    message = await kept(gateway, client, with_program("pump offer"))
    assert (message["disposition"], message["attachments"][0]["disposition"]) == ("ticketed", "held")
    paths = ["tickets", "tickets/1", "messages", "quarantine", "events", "outbox", f"traces/{message['trace']}"]
    paths += [f"messages/{message['id']}{rest}" for rest in ("", "/raw", "/attachments/2", "/inline/x")]
    doors = [(await ask(path, scope="read")).content for path in paths]
    letters = [p.letter.content for p in prepared(gateway) if p.letter]
    assert len(letters) >= 2
    for content in [*doors, *letters]:
        assert not [t for t in traces_of(SECRET) if t in content]
    for letter in letters:
        files = [p for p in message_from_bytes(letter).walk() if p.get_filename()]
        assert files == []

    n = message["attachments"][0]["n"]
    assert (await ask(f"messages/{message['id']}/attachments/{n}/release", "POST", scope="read")).status_code == 403
    assert (await ask(f"messages/{message['id']}/attachments/{n}/release", "POST")).status_code == 200
    assert (await ask(f"messages/{message['id']}/attachments/{n}", scope="read")).content == SECRET
    assert (await ask(f"messages/{message['id']}/raw", scope="read")).content == gateway.raw(message["id"])
    agrees(gateway)


# --- retention ---


async def test_quarantined_mail_expires_after_its_accounts_days(gateway: Gateway, client: Client, ask: Asking) -> None:
    store, blobs = gateway.ground.store, gateway.ground.blobs
    small = await kept(gateway, client, with_program("suspicious small"))
    await kept(gateway, client, with_program("pump ticket"))
    changes.edit_account(store, gateway.account_id(), {"quarantine_days": 7})
    now = datetime.now(UTC)

    assert expire_quarantined(store, blobs, now + timedelta(days=6, hours=23)) == 0
    assert expire_quarantined(store, blobs, now + timedelta(days=7, hours=1)) == 1
    assert expire_quarantined(store, blobs, now + timedelta(days=400)) == 0

    gone = (await ask(f"messages/{small['id']}")).json()
    assert (gone["disposition"], gone["subject"], gone["text"], gone["attachments"]) == ("expired", "", "", [])
    assert (gone["sha256"], gone["size_bytes"], gone["message_id"]) == (
        small["sha256"], small["size_bytes"], small["message_id"],
    )  # fmt: skip
    assert (await ask(f"messages/{small['id']}/raw")).status_code == 404
    event = gateway.trace(small["trace"])["events"][-1]
    assert (event["stage"], event["outcome"], event["detail"]["after_days"]) == ("expire", "expired", 7)
    counts = agrees(gateway)
    assert (counts["expired"], counts["ticketed"]) == (1, 1)


async def test_the_blob_of_an_expired_message_goes_with_it(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.endings.ROW_BYTES", 1000)
    large = await kept(gateway, client, with_program("suspicious large", 2000))
    store, blobs = gateway.ground.store, gateway.ground.blobs
    assert [n for _, n in blobs.names()] == [large["id"]]
    assert expire_quarantined(store, blobs, datetime.now(UTC) + 31 * DAY) == 1
    assert list(blobs.names()) == []
    assert agrees(gateway)["unowned blobs"] == 0


async def test_the_blobs_of_what_went_while_their_folder_was_away_stayed_for_ever(
    gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.endings.ROW_BYTES", 1000)
    large = [(await kept(gateway, client, with_program(f"suspicious {n}", 2000)))["id"] for n in range(3)]
    store, blobs, account = gateway.ground.store, gateway.ground.blobs, gateway.account_id()
    mark = gateway.ground.settings.blob_dir / MARK
    mark.rename(mark.with_name("away"))
    with pytest.raises(StoreUnavailable):
        expire_quarantined(store, blobs, datetime.now(UTC) + 31 * DAY)
    with pytest.raises(StoreUnavailable):
        erase_quarantined(store, blobs, account, large[0], by="ann")
    assert {m["disposition"] for m in gateway.messages()} == {"quarantined"}

    mark.with_name("away").rename(mark)
    erase_quarantined(store, blobs, account, large[0], by="ann")
    assert expire_quarantined(store, blobs, datetime.now(UTC) + 31 * DAY) == 2
    assert list(blobs.names()) == []
    assert agrees(gateway)["unowned blobs"] == 0


async def test_what_has_no_blob_goes_while_their_folder_is_away(gateway: Gateway, client: Client) -> None:
    small = [(await kept(gateway, client, numbered(f"suspicious {n}")))["id"] for n in range(2)]
    store, blobs = gateway.ground.store, gateway.ground.blobs
    (gateway.ground.settings.blob_dir / MARK).unlink()
    erase_quarantined(store, blobs, gateway.account_id(), small[0], by="ann")
    assert expire_quarantined(store, blobs, datetime.now(UTC) + 31 * DAY) == 1


async def test_many_expire_a_group_at_a_time(gateway: Gateway, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.erasure.AT_ONCE", 2)
    for n in range(5):
        await kept(gateway, client, numbered(f"suspicious {n}"))
    store, blobs = gateway.ground.store, gateway.ground.blobs
    assert expire_quarantined(store, blobs, datetime.now(UTC) + 31 * DAY) == 5
    assert agrees(gateway)["expired"] == 5


async def test_old_mail_that_came_into_quarantine_lately_waits_its_days_from_then(
    gateway: Gateway, client: Client
) -> None:
    """A stricter policy and `reprocess` put it there: it must not be gone the moment it comes."""
    message = await kept(gateway, client, numbered("suspicious old"))
    store, blobs = gateway.ground.store, gateway.ground.blobs
    with store.write() as connection:
        long_ago = datetime.now(UTC) - 90 * DAY
        connection.execute(update(MessageRow).where(_m.id == message["id"]).values(received_at=long_ago))
    assert expire_quarantined(store, blobs, datetime.now(UTC) + 29 * DAY) == 0
    assert expire_quarantined(store, blobs, datetime.now(UTC) + 31 * DAY) == 1


# --- the digest ---


def tell(gateway: Gateway, *admins: str, **values: Any) -> None:
    changes.edit_account(gateway.ground.store, gateway.account_id(), {"admins": list(admins), **values})


def at(hour: int, day: int = 1, zone: str = "UTC") -> datetime:
    """So many days from today, at that local hour: everything that has come by now is old enough to be told of."""
    here = TODAY.astimezone(ZoneInfo(zone)) + timedelta(days=day)
    return here.replace(hour=hour, minute=30, second=0, microsecond=0)


def digests(gateway: Gateway) -> list[Any]:
    with gateway.ground.store.read() as connection:
        return list(connection.execute(select(*_o).where(_o.kind == KIND).order_by(_o.id)).all())


def text_of(one: Prepared) -> str:
    assert one.letter is not None, one.fault
    message = message_from_bytes(one.letter.content, policy=policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def test_admins_are_told_once_a_local_day_from_eight_and_only_of_what_is_new(
    gateway: Gateway, client: Client
) -> None:
    store = gateway.ground.store
    tell(gateway, "ops@acme.test", "boss@acme.test")
    assert queue_digests(store, at(9, 0)) == 0  # nothing waits
    await kept(gateway, client, numbered("suspicious 1"))
    assert queue_digests(store, at(7)) == 0
    assert queue_digests(store, at(8)) == 2
    assert queue_digests(store, at(9)) == 0
    assert queue_digests(store, at(9, 2)) == 0  # nothing new
    assert [d.recipient for d in digests(gateway)] == ["ops@acme.test", "boss@acme.test"]
    assert agrees(gateway)["quarantined"] == 1


async def test_who_names_no_admins_tells_nobody(gateway: Gateway, client: Client) -> None:
    await kept(gateway, client, numbered("suspicious 1"))
    assert queue_digests(gateway.ground.store, at(9)) == 0


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata"])
async def test_eight_is_the_accounts_own_eight_and_its_day_the_accounts_own(
    gateway: Gateway, client: Client, zone: str
) -> None:
    store = gateway.ground.store
    tell(gateway, "ops@acme.test", timezone=zone, digest_at=at(23, 1, zone))
    await kept(gateway, client, numbered("suspicious 1"))
    with store.write() as connection:  # as if it came after that digest
        later = f"{int(at(1, 2, zone).timestamp() * 1000):012x}"
        connection.execute(update(MessageRow).values(id=later.ljust(32, "1")))
    assert queue_digests(store, at(23, 1, zone) + timedelta(minutes=20)) == 0
    assert queue_digests(store, at(7, 2, zone)) == 0
    assert queue_digests(store, at(8, 2, zone)) == 1


async def test_the_digest_counts_by_reason_and_shows_who_and_what(gateway: Gateway, client: Client) -> None:
    store = gateway.ground.store
    tell(gateway, "ops@acme.test")
    held = await kept(gateway, client, with_program("pump https://evil.example/"))
    waits = await kept(gateway, client, numbered("suspicious 1"))
    assert queue_digests(store, at(9)) == 1

    (letter,) = [p for p in prepared(gateway, at(10)) if p.claim.kind == KIND]
    text = text_of(letter)
    assert "- held by a rule: 1" in text
    assert "- a file waits for release: 1" in text
    assert "Carol <carol[at]customer[.]test>" in text
    assert held["id"] in text
    assert waits["id"] in text
    assert "evil.example" not in text
    assert letter.letter is not None
    assert letter.letter.content.startswith(b"DKIM-Signature:")
    assert letter.letter.reverse_path is not None
    assert letter.letter.reverse_path.startswith("bounce+")
    assert not [t for t in traces_of(SECRET) if t in letter.letter.content]


async def test_the_digest_shows_twenty_and_counts_the_others(gateway: Gateway, client: Client) -> None:
    tell(gateway, "ops@acme.test")
    for n in range(LINES + 3):
        await kept(gateway, client, numbered(f"suspicious {n}"))
    assert queue_digests(gateway.ground.store, at(9)) == 1
    (letter,) = prepared(gateway, at(10))
    text = text_of(letter)
    assert text.count("Author:") == LINES
    assert "and 3 more" in text


async def test_what_came_just_before_a_digest_is_told_in_the_next_one(gateway: Gateway, client: Client) -> None:
    """A message has its id when it comes, and is seen when it is committed: nothing may fall between two digests."""
    store = gateway.ground.store
    message = await kept(gateway, client, numbered("suspicious first"))
    came = datetime.now(UTC)
    tell(gateway, "ops@acme.test", digest_at=came)
    assert queue_digests(store, at(9)) == 1
    (letter,) = prepared(gateway, at(10))
    assert message["id"] in text_of(letter)


async def test_what_a_digest_could_tell_of_is_not_told_again(gateway: Gateway, client: Client) -> None:
    await kept(gateway, client, numbered("suspicious first"))
    tell(gateway, "ops@acme.test", digest_at=datetime.now(UTC) + 2 * UNDER_WAY)
    assert queue_digests(gateway.ground.store, at(9)) == 0


async def test_what_was_dealt_with_before_the_mail_is_written_is_not_told(
    gateway: Gateway, client: Client, ask: Asking
) -> None:
    tell(gateway, "ops@acme.test")
    message = await kept(gateway, client, numbered("suspicious 1"))
    queue_digests(gateway.ground.store, at(9))
    await ask(f"quarantine/{message['id']}", "DELETE")
    (letter,) = prepared(gateway, at(10))
    assert "dealt with meanwhile" in text_of(letter)


async def test_a_listen_only_account_still_tells_its_own_admins(gateway: Gateway, client: Client) -> None:
    store = gateway.ground.store
    tell(gateway, "ops@acme.test", listen_only=True)
    await gateway.line.store_pool(gateway.line.directory.refresh)
    await kept(gateway, client, with_program("pump ticket"))
    assert queue_digests(store, at(9)) == 1
    changes.go_live(store, gateway.account_id())
    with store.read() as connection:
        states = dict(connection.execute(select(_o.kind, _o.state)).all())
    assert states.pop(KIND) == "pending"
    assert set(states.values()) == {"cancelled"}


async def test_a_digest_that_comes_back_undelivered_is_a_delivery_report(gateway: Gateway, client: Client) -> None:
    tell(gateway, "ops@acme.test")
    await kept(gateway, client, numbered("suspicious 1"))
    queue_digests(gateway.ground.store, at(9))
    (letter,) = prepared(gateway, at(10))
    assert letter.letter is not None
    assert letter.letter.reverse_path is not None
    reply = await client.mail(numbered("returned"), letter.letter.reverse_path, sender="<>")
    assert reply.code == 250
    assert gateway.messages()[0]["reason"] == "delivery-report"
