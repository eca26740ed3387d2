"""Scanners beside clamd on live mail: YARA refuses, rspamd's spam waits, and an rspamd that is away keeps nothing back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.publish import publish
from tests.servers.inprocess import Gateway, Reply, fresh_ground, numbered, running
from tests.servers.rspamd import GTUBE, RspamdServer
from tests.servers.rspamd import running as running_rspamd


@pytest.fixture(scope="module")
def rspamd() -> Iterator[RspamdServer]:
    yield from running_rspamd()


@asynccontextmanager
async def gateway_with(seed: Path, folder: Path, **settings: str) -> AsyncIterator[Gateway]:
    async with running(fresh_ground(seed, folder / "data", **settings)) as gateway:
        yield gateway


async def send(gateway: Gateway, content: bytes, to: str = "support@acme.gw.test") -> Reply:
    async with gateway.client() as client:
        return await client.mail(content, to)


def scanned(gateway: Gateway, reply: Reply) -> dict[str, Any]:
    """The step of the trace that says what the scanners said."""
    return next(e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "scan")


async def test_a_rule_of_the_operator_s_refuses_without_clamd(seed: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yar"
    rules.write_text('rule Leaking_Pumps { strings: $a = "leaks badly" condition: $a }')
    async with gateway_with(seed, tmp_path, GATEWAY_YARA__RULES=str(rules)) as gateway:
        clean = await send(gateway, numbered("harmless"))
        assert (clean.code, scanned(gateway, clean)["outcome"]) == (250, "clean")
        refused = await send(gateway, numbered("bad", text="It leaks badly."))
        assert (refused.code, refused.enhanced) == (550, "5.7.1")
        assert "Leaking_Pumps" in refused.text


async def test_spam_by_rspamd_waits_and_its_trace_says_why(seed: Path, tmp_path: Path, rspamd: RspamdServer) -> None:
    async with gateway_with(seed, tmp_path, GATEWAY_RSPAMD__URL=rspamd.url) as gateway:
        taken = await send(gateway, numbered("ham"))
        assert scanned(gateway, taken)["detail"]["facts"]["rspamd.action"] == "no action"
        assert f"queue={taken.trace}" in rspamd.told
        assert "from=carol@customer.test" in rspamd.told

        spam = await send(gateway, numbered("spam", text=GTUBE.decode()))
        assert spam.code == 250
        message = next(m for m in gateway.messages() if m["trace"] == spam.trace)
        assert (message["disposition"], message["reason"]) == ("quarantined", "spam")
        decided = next(e for e in gateway.trace(spam.trace)["events"] if e["stage"] == "decide")
        assert decided["detail"]["text"] == "spam, says rspamd (reject, 15 of 15)"

        publish(gateway.ground.store, gateway.account_id(), "accept: {spam: reject}")
        await gateway.line.store_pool(gateway.line.directory.refresh)
        refused = await send(gateway, numbered("more spam", text=GTUBE.decode()))
        assert str(refused).startswith("550 5.7.1 ")
        assert refused.text.endswith("spam, says rspamd (reject, 15 of 15)")
        to_postmaster = await send(gateway, numbered("spam for all", text=GTUBE.decode()), "postmaster@acme.gw.test")
        assert to_postmaster.code == 250


async def test_an_rspamd_that_is_away_keeps_nothing_back_and_is_told(seed: Path, tmp_path: Path) -> None:
    async with gateway_with(seed, tmp_path, GATEWAY_RSPAMD__URL="http://127.0.0.1:1") as gateway:
        reply = await send(gateway, numbered("ham"))
        step = scanned(gateway, reply)
        assert reply.code == 250
        assert (step["outcome"], step["reason"]) == ("unscanned", "scanner-off")
        assert step["detail"]["facts"] == {"rspamd.state": "down"}
