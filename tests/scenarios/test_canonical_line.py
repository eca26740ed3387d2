"""Exactly one `transaction` line in the process log for each transaction, however it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import structlog

from gateway.core.errors import StoreUnavailable, TooComplex
from tests.servers.inprocess import Client, Gateway, numbered

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Any:
    with structlog.testing.capture_logs() as captured:
        yield lambda: [x for x in captured if x["event"] == "transaction"]


async def test_what_is_kept(gateway: Gateway, client: Client, lines: Lines) -> None:
    reply = await client.mail(numbered(1), "support@acme.gw.test")

    (line,) = lines()
    assert (line["trace"], line["outcome"], line["kept_as"], line["ticket"]) == (reply.trace, "accepted", "ticketed", 1)
    assert (line["code"], line["sender"], line["scan"]) == (250, "verified", "unscanned")
    assert {"parse", "locate", "verify", "scan", "recall", "decide", "commit"} == set(line["milliseconds"])
    assert line["message"] == gateway.messages()[0]["id"]
    assert (line["client"], line["helo"], line["source"]) == ("127.0.0.1", "client.test", "smtp")


async def test_a_retry(client: Client, lines: Lines) -> None:
    first = await client.mail(numbered(1))
    await client.mail(numbered(1))

    _, again = lines()
    assert (again["reason"], again["first_trace"]) == ("duplicate", first.trace)
    assert again["trace"] != first.trace
    assert "kept_as" not in again


async def test_what_the_line_refuses(client: Client, lines: Lines) -> None:
    loop = [f"Received: from a by b; Mon, 02 Feb 2026 10:00:{n % 60:02} +0000" for n in range(60)]
    reply = await client.mail(numbered(1, *loop))

    (line,) = lines()
    assert (line["trace"], line["outcome"], line["reason"]) == (reply.trace, "refused", "mail-loop")
    assert (line["code"], line["enhanced_code"]) == (554, "5.4.6")


async def test_what_is_parked(gateway: Gateway, client: Client, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    async def too_complex(*_: object) -> None:
        raise TooComplex("too deep")

    monkeypatch.setattr(gateway.line.intake, "_parse", too_complex)
    reply = await client.mail(numbered(1))

    (line,) = lines()
    assert (line["trace"], line["outcome"], line["kept_as"]) == (reply.trace, "parked", "parked")
    assert (line["reason"], line["code"]) == ("too-complex", 250)


async def test_what_is_deferred(
    gateway: Gateway, client: Client, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(gateway.line.committer, "file", away)
    reply = await client.mail(numbered(1))

    (line,) = lines()
    assert (line["trace"], line["outcome"], line["code"]) == (reply.trace, "deferred", 451)
    assert "kept_as" not in line


async def test_what_is_refused_before_its_content(gateway: Gateway, client: Client, lines: Lines) -> None:
    await client.begin("support@acme.gw.test", "nobody@elsewhere.test")
    await client.say("RSET")
    known = await gateway.log_line()

    (line,) = lines()
    assert (line["trace"], line["outcome"], line["recipients"]) == (known["trace"], "refused", 2)
    assert (line["refused_recipients"], line["code"]) == (1, 550)


async def test_a_flood_is_told_once_and_its_trace_explains_it(gateway: Gateway, lines: Lines) -> None:
    for n in range(3):
        async with gateway.client() as client:
            for i in range(6):
                assert (await client.say(f"MAIL FROM:<spam{n}-{i}@bot.test>")).code == 250
                assert (await client.say(f"RCPT TO:<guess{n}-{i}@elsewhere.test>")).code == 550
                assert (await client.say("RSET")).code == 250
    gateway.server._floods.flush(all=True)
    async with gateway.client() as client:
        await client.mail(numbered("last"))  # the committer keeps the order: what was recorded before it is written
    (flood,) = (x for x in gateway.log() if "8 transactions" in x["reply"])

    assert [x.get("aggregated") for x in lines()] == [None] * 10 + [8, None]
    assert (flood["reverse_path"], len(flood["recipients"])) == ("", 8)
    (event,) = gateway.trace(flood["trace"])["events"]
    assert event["detail"]["recipients_in_all"] == 8


async def test_a_run_again_is_marked_and_answers_nobody(gateway: Gateway, client: Client, lines: Lines) -> None:
    from gateway.commands.rerun import rerun

    with pytest.MonkeyPatch.context() as broken:

        async def too_complex(*_: object) -> None:
            raise TooComplex("too deep")

        broken.setattr(gateway.line.intake, "_parse", too_complex)
        await client.mail(numbered(1))
    (message,) = gateway.messages()
    await rerun(gateway.line, gateway.account_id(), message["id"])

    first, again = lines()
    assert "again" not in first
    assert (again["again"], again["outcome"], again["kept_as"]) == (True, "accepted", "ticketed")
    assert again["trace"] == first["trace"]
    assert "code" not in again
