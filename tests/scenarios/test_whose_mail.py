"""Whose mail it is where From is a machine or a group: web forms, a group that a challenge taught, and who abuses them.

Whoever is told by a header field is shown as told, unverified, is not written to, and is never one of the account's own.
"""

from __future__ import annotations

import contextlib
import email
import itertools
import re
from collections.abc import AsyncIterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.store import changes, message_reading, ticket_reading
from tests.scenarios.test_forwarding import World, world_of
from tests.servers import company
from tests.servers.company import Sent, hand_over
from tests.servers.inprocess import Client, Gateway, Reply, fresh_ground, running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORMS = "author_from: [{if: {sender: {wildcard: 'forms@*'}}, take: reply-to}]"
GROUP = 'From: "Carol via Support" <support@acme.test>'
LIST = ("List-Id: <support.acme.test>", "Precedence: list")
CAROL = "Carol <carol@customer.test>"
NUMBERS = itertools.count(1)


def mail(*fields: str) -> bytes:
    """No other has its Message-ID: it would be taken for a copy."""
    n = next(NUMBERS)
    lines = [*fields, "To: support@acme.test", f"Subject: Pump {n}", "Date: Mon, 02 Feb 2026 10:00:00 +0000"]
    return "\r\n".join([*lines, f"Message-ID: <{n}@forms.test>", "", f"It leaks. ({n})", ""]).encode()


def shown(gateway: Gateway, reply: Reply) -> dict[str, Any]:
    assert reply.code == 250, reply
    return message_reading.message(gateway.ground.store, gateway.account_id(), gateway.trace(reply.trace)["message"])


def whose(gateway: Gateway, reply: Reply) -> list[dict[str, Any]]:
    """The step of the trace that says whose mail it is."""
    return [e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "whose"]


def ticket(gateway: Gateway, message: dict[str, Any]) -> dict[str, Any]:
    return ticket_reading.ticket(gateway.ground.store, gateway.account_id(), message["ticket"])


def confirmed(gateway: Gateway, message: dict[str, Any]) -> list[str]:
    """Who was told that the message has arrived."""
    return [n["recipient"] for n in ticket(gateway, message)["notifications"] if n["kind"] == "acknowledgement"]


async def publish(gateway: Gateway, text: str) -> None:
    changes.publish_policy(gateway.ground.store, gateway.account_id(), text)
    await gateway.line.store_pool(gateway.line.directory.refresh)


# --- a web form ---


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running(fresh_ground(seed, tmp_path_factory.mktemp("forms") / "data")) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    await publish(gateway, FORMS)
    async with gateway.client() as client:
        yield client


async def test_a_web_form_opens_the_ticket_of_whoever_filled_it_in(gateway: Gateway, client: Client) -> None:
    reply = await client.mail(mail("From: Form <forms@customer.test>", f"Reply-To: {CAROL}"))
    found = shown(gateway, reply)
    assert found["author"] == {
        "name": "Carol",
        "address": "carol@customer.test",
        "told_by": "Reply-To",
        "from_address": "forms@customer.test",
    }
    assert (found["auth"]["sender"], found["auth"]["level"], found["auth"]["by"]) == ("unverified", "none", "")
    assert found["auth"]["reason"] == (
        "author as told by Reply-To (author_from 1); From is forms@customer.test, verified by spf:customer.test"
    )
    assert "dmarc=pass" in found["authentication_results"]
    assert "header.from=customer.test" in found["authentication_results"]
    assert [p["address"] for p in ticket(gateway, found)["participants"]] == ["carol@customer.test"]
    assert confirmed(gateway, found) == []
    (step,) = whose(gateway, reply)
    assert (step["outcome"], step["reason"]) == ("told", found["auth"]["reason"])


async def test_who_is_told_joins_his_ticket_as_anybody_unverified_does(gateway: Gateway, client: Client) -> None:
    first = shown(gateway, await client.mail(mail("From: forms@customer.test", f"Reply-To: {CAROL}")))
    row = ticket(gateway, first)["notifications"][0]["id"]
    ours = gateway.ground.tokens.message_id(gateway.account_id(), first["ticket"], row, "acme.gw.test")
    fields = ("From: forms@customer.test", f"In-Reply-To: <{ours}>")
    await client.mail(mail(*fields, f"Reply-To: {CAROL}"))
    await client.mail(mail(*fields, "Reply-To: mallory@customer.test"))
    assert [m["internal"] for m in ticket(gateway, first)["messages"]] == [False, False, True]


async def test_without_the_key_the_machine_is_the_author(gateway: Gateway, client: Client) -> None:
    await publish(gateway, "")
    reply = await client.mail(mail("From: forms@customer.test", f"Reply-To: {CAROL}"))
    found = shown(gateway, reply)
    assert found["author"] == {"name": "", "address": "forms@customer.test", "told_by": None, "from_address": None}
    assert (found["auth"]["sender"], whose(gateway, reply)) == ("verified", [])
    assert confirmed(gateway, found) == ["forms@customer.test"]


@pytest.mark.parametrize(
    ("field", "objection"),
    [
        ("Reply-To: ann@acme.test", "Reply-To names an agent"),
        ("Reply-To: Ann <Ann+1@ACME.test>", "Reply-To names an agent"),
        ("Reply-To: support@acme.test", "Reply-To names a mailbox of this account"),
        ("Reply-To: help@globex.gw.test", "Reply-To names an address of the gateway"),
        ("Reply-To: a@customer.test, b@customer.test", "Reply-To does not name exactly one address"),
        ("Reply-To: a@customer.test\r\nReply-To: b@customer.test", "Reply-To stands there more than once"),
        ("X-Original-From: carol@customer.test", "Reply-To is not there"),
    ],
)
async def test_what_may_not_be_taken_leaves_the_machine_and_says_why(
    gateway: Gateway, client: Client, field: str, objection: str
) -> None:
    reply = await client.mail(mail("From: forms@customer.test", field))
    found = shown(gateway, reply)
    assert (found["author"]["address"], found["author"]["told_by"]) == ("forms@customer.test", None)
    (step,) = whose(gateway, reply)
    assert (step["outcome"], step["detail"]["passed_over"]) == ("as written", [objection])


async def test_a_colleague_is_as_unverified_as_anybody_who_fills_in_the_form(gateway: Gateway, client: Client) -> None:
    found = shown(gateway, await client.mail(mail("From: forms@customer.test", "Reply-To: dora@acme.test")))
    assert (found["author"]["address"], found["auth"]["sender"]) == ("dora@acme.test", "unverified")
    assert confirmed(gateway, found) == []


async def test_a_form_that_its_domain_disowns_is_refused_whoever_it_tells(gateway: Gateway, client: Client) -> None:
    content = mail("From: forms@strict.test", f"Reply-To: {CAROL}")
    reply = await client.mail(content, sender="<x@evil.test>")
    assert (reply.code, reply.enhanced) == (550, "5.7.26")


# --- a group that a challenge taught ---


def by_group(content: bytes, _reverse_path: str) -> Sent:
    """As Google Groups does for authors whose domain has a policy: From is the group, the author stands elsewhere."""
    author = re.search(rb"(?m)^From: (.*<)?([^>\r]*)>?\r\n", content)
    assert author
    kept = b"X-Original-Sender: %b\r\nX-Original-From: Author <%b>\r\n" % (author[2], author[2])
    return as_brought(
        content.replace(author[0], kept + GROUP.encode() + b"\r\n" + "\r\n".join(LIST).encode() + b"\r\n")
    )


def keeping(content: bytes, _reverse_path: str) -> Sent:
    """As Google Groups does for all others: only the fields of a list are added."""
    return as_brought("\r\n".join([*LIST, ""]).encode() + content)


def as_brought(content: bytes, client: str = company.FORWARDER) -> Sent:
    return Sent(company.RECEIVED + content, "support+bncABC@acme.test", client)


@contextlib.asynccontextmanager
async def learnt(seed: Path, folder: Path, manner: company.Manner) -> AsyncIterator[World]:
    """A world whose company's manner the gateway knows."""
    async with world_of(manner, seed, folder) as world:
        assert (await world.check())[0] == 0
        await world.gateway.line.store_pool(world.gateway.line.directory.refresh)
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with learnt(seed, tmp_path_factory.mktemp("group"), by_group) as world:
        yield world


async def brought(world: World, content: bytes) -> dict[str, Any]:
    """What is shown of mail that the known group brought."""
    reply = await hand_over(world.gateway.port, as_brought(content))
    found = shown(world.gateway, reply)
    assert (found["auth"]["path"], found["auth"]["forwarder"]) == ("forwarder", "mail.acme.test")
    return found | {"whose": whose(world.gateway, reply), "kind": kind(world.gateway, reply)}


def kind(gateway: Gateway, reply: Reply) -> str:
    return str(next(e["detail"]["kind"] for e in gateway.trace(reply.trace)["events"] if e["stage"] == "decide"))


async def test_a_known_group_s_mail_is_its_author_s_and_no_list(world: World) -> None:
    fields = (GROUP, *LIST, "X-Original-Sender: bounce@customer.test", f"X-Original-From: {CAROL}")
    found = await brought(world, mail(*fields, "Reply-To: other@customer.test"))
    assert found["author"] == {
        "name": "Carol",
        "address": "carol@customer.test",
        "told_by": "X-Original-From",
        "from_address": "support@acme.test",
    }
    assert (found["auth"]["sender"], found["kind"]) == ("unverified", "new")
    (step,) = found["whose"]
    assert step["detail"]["not_counted"] == ["list-id", "precedence"]
    assert [p["address"] for p in ticket(world.gateway, found)["participants"]] == ["carol@customer.test"]
    assert confirmed(world.gateway, found) == []

    taken = world.company.taken
    await until(lambda: any(found["subject"] in company.subject(c) for c, _ in taken))
    (content,) = [c for c, _ in taken if found["subject"] in company.subject(c)]
    notice = email.message_from_bytes(content, policy=policy.SMTP)
    assert isinstance(notice, EmailMessage)
    body = notice.get_body(("plain",))
    assert body
    assert "The author is as told by X-Original-From; the mail is from support@acme.test." in body.get_content()
    _, page, _ = await world.run("message", "show", found["id"], "--account", "acme")
    assert "Carol <carol@customer.test>  as told by X-Original-From" in page
    _, page, _ = await world.run("trace", found["trace"])
    assert "author as told by X-Original-From (the forwarder mail.acme.test rewrites From)" in page


async def test_the_next_field_is_asked_where_one_names_nobody(world: World) -> None:
    sender = await brought(world, mail(GROUP, *LIST, "X-Original-Sender: carol@customer.test"))
    assert (sender["author"]["address"], sender["author"]["told_by"]) == ("carol@customer.test", "X-Original-Sender")
    reply_to = await brought(world, mail(GROUP, *LIST, f"Reply-To: {CAROL}"))
    assert (reply_to["author"]["address"], reply_to["author"]["told_by"]) == ("carol@customer.test", "Reply-To")
    nobody = await brought(world, mail(GROUP, *LIST))
    assert (nobody["author"]["address"], nobody["author"]["told_by"]) == ("support@acme.test", None)
    assert nobody["whose"][0]["reason"] == "the author stays who is in From"


@pytest.mark.parametrize(
    ("field", "objection"),
    [
        ("X-Original-From: ann@acme.test", "X-Original-From names an agent"),
        ("X-Original-From: support@acme.test", None),
        ("X-Original-From: billing@acme.test", "X-Original-From names a mailbox of this account"),
        ("X-Original-From: a@bank.test, b@bank.test", "X-Original-From does not name exactly one address"),
        (f"X-Original-From: a@bank.test\r\nX-Original-From: {CAROL}", "X-Original-From stands there more than once"),
        ("Reply-To: ann@acme.test", "Reply-To names an agent"),
        ("X-Original-From : a@bank.test", "X-Original-From is malformed"),
    ],
)
async def test_nobody_becomes_one_of_the_account_s_own_through_the_group(
    world: World, field: str, objection: str | None
) -> None:
    found = await brought(world, mail(GROUP, *LIST, field))
    assert (found["author"]["address"], found["author"]["told_by"]) == ("support@acme.test", None)
    assert found["auth"]["sender"] != "verified"
    passed_over = found["whose"][0]["detail"]["passed_over"]
    assert objection is None or objection in passed_over
    assert confirmed(world.gateway, found) == []


async def test_an_author_whom_the_group_left_alone_names_nobody_else(world: World) -> None:
    found = await brought(world, mail("From: eve@evil.test", *LIST, f"X-Original-From: {CAROL}", f"Reply-To: {CAROL}"))
    assert (found["author"]["address"], found["author"]["told_by"], found["kind"]) == ("eve@evil.test", None, "new")


async def test_what_the_author_s_own_machine_says_still_counts(world: World) -> None:
    away = await brought(world, mail(GROUP, *LIST, f"X-Original-From: {CAROL}", "Auto-Submitted: auto-replied"))
    newsletter = await brought(world, mail(GROUP, *LIST, f"X-Original-From: {CAROL}", "List-Id: <news.shop.test>"))
    assert (away["kind"], newsletter["kind"]) == ("automatic", "list")


async def test_the_same_from_a_stranger_s_server_tells_nobody(world: World) -> None:
    content = mail(GROUP, *LIST, f"X-Original-From: {CAROL}", f"Reply-To: {CAROL}")
    reply = await hand_over(world.gateway.port, as_brought(content, company.STRANGER))
    found = shown(world.gateway, reply)
    assert (found["auth"]["path"], found["author"]["address"], found["author"]["told_by"]) == (
        "unknown",
        "support@acme.test",
        None,
    )
    assert (kind(world.gateway, reply), whose(world.gateway, reply)) == ("list", [])


async def test_a_group_that_was_not_learnt_is_believed_only_by_the_policy(seed: Path, tmp_path: Path) -> None:
    content = mail(GROUP, *LIST, f"X-Original-From: {CAROL}")
    async with world_of(by_group, seed, tmp_path) as world:
        reply = await hand_over(world.gateway.port, as_brought(content))
        found = shown(world.gateway, reply)
        assert (found["auth"]["path"], found["author"]["told_by"]) == ("probable", None)
        assert kind(world.gateway, reply) == "list"
        await publish(world.gateway, "author_from: [{if: {sender: support@acme.test}, take: x-original-from}]")
        content = mail(GROUP, *LIST, f"X-Original-From: {CAROL}")
        reply = await hand_over(world.gateway.port, as_brought(content))
        found = shown(world.gateway, reply)
        assert (found["author"]["address"], found["auth"]["sender"]) == ("carol@customer.test", "unverified")


async def test_a_group_that_leaves_authors_alone_makes_no_list_of_their_mail(seed: Path, tmp_path: Path) -> None:
    async with learnt(seed, tmp_path, keeping) as world:
        found = await brought(world, mail("From: carol@customer.test", *LIST, "Reply-To: eve@evil.test"))
        assert (found["kind"], found["author"]["address"]) == ("new", "carol@customer.test")
        assert found["author"]["told_by"] is None


async def test_a_known_group_may_be_checked_anew(world: World) -> None:
    """Else the challenge that comes back the second time would look like another author's mail."""
    _, found = await world.check("--anew")
    assert "author-rewritten" in [r["code"] for r in found["check"]["remarks"]]
    (known,) = (await world.shown())["forwarders"]
    assert known["keeps_author"] is False
    assert world.gateway.messages()[-1]["reason"] == "challenge-returned"


async def test_policy_test_finds_the_author_by_the_draft(world: World, tmp_path: Path) -> None:
    draft, sample = tmp_path / "draft.yaml", tmp_path / "sample.eml"
    draft.write_text(FORMS)
    sample.write_bytes(mail("From: forms@customer.test", f"Reply-To: {CAROL}"))
    code, page, problem = await world.run("policy", "test", str(draft), str(sample), "--account", "acme")
    assert code == 0, problem
    assert "Carol <carol@customer.test>  as told by Reply-To" in page
    _, page, _ = await world.run("policy", "test", str(sample), "--account", "acme")
    assert "as told by" not in page
