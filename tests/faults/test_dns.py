"""The name server is silent: nobody waits longer than the budget, the doubt is told as such, others are unharmed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from gateway.settings import AuthSettings
from gateway.store import changes
from gateway.verify.verifier import GRACE_SECONDS
from tests.dnsserver import NameServer
from tests.servers import inprocess
from tests.servers.inprocess import Gateway, Reply, fresh_ground, make_seed, numbered, running

SESSION_SECONDS = 25.0
UNHARMED_SECONDS = 2.0
BUDGET_SECONDS = 3.0
SECONDS_FOR_THE_REST = 3.0


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seed(tmp_path_factory.mktemp("seed"))


class SilentNames(NameServer):
    """Says nothing about `silent.test` and what is below it, and has failed for `broken.test`."""

    asked_in_vain: asyncio.Event

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        if b"\x06silent\x04test\x00" in wire.lower():
            self.asked_in_vain.set()
            return None
        if b"\x06broken\x04test\x00" in wire.lower():
            response = dns.message.make_response(dns.message.from_wire(wire))
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        return super().answer(wire, transport)


@pytest.fixture(autouse=True)
def _silent_names(monkeypatch: pytest.MonkeyPatch) -> None:
    SilentNames.asked_in_vain = asyncio.Event()
    monkeypatch.setattr(inprocess, "NameServer", SilentNames)


@asynccontextmanager
async def gateway_with(
    seed: Path, folder: Path, policy: str = "", budget_seconds: float = BUDGET_SECONDS
) -> AsyncIterator[Gateway]:
    budgets = {"GATEWAY_AUTH__BUDGET_SECONDS": str(budget_seconds), "GATEWAY_DNS__TIMEOUT_SECONDS": str(budget_seconds)}
    ground = fresh_ground(seed, folder, **budgets)
    async with running(ground) as gateway:
        if policy:
            changes.publish_policy(ground.store, gateway.account_id(), policy)
            await gateway.line.store_pool(gateway.line.directory.refresh)
        yield gateway


def silent(n: object, signatures: int = 1) -> bytes:
    """From an author whose domain's name server says nothing, signed by domains that say nothing either."""
    signed = [
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=d{i}.silent.test; s=k; h=from; bh=AAAA; b=AAAA"
        for i in range(signatures)
    ]
    return numbered(n, *signed).replace(b"From: Carol <carol@customer.test>", b"From: Sid <sid@silent.test>")


async def send(gateway: Gateway, content: bytes, sender: str) -> tuple[Reply, float]:
    began = time.monotonic()
    async with gateway.client() as client:
        reply = await client.mail(content, sender=sender)
    return reply, time.monotonic() - began


def test_the_budget_as_delivered_leaves_a_session_under_twenty_five_seconds() -> None:
    """The tests below shorten it; what they show holds for the default by this."""
    settings = AuthSettings()
    assert settings.budget_seconds + GRACE_SECONDS + SECONDS_FOR_THE_REST <= SESSION_SECONDS


async def test_silent_names_cost_the_budget_once_and_the_mail_is_taken_as_indeterminate(
    seed: Path, tmp_path: Path
) -> None:
    async with gateway_with(seed, tmp_path / "data") as gateway:
        reply, seconds = await send(gateway, silent(1, signatures=30), "<sid@silent.test>")
        assert reply.code == 250
        assert seconds < BUDGET_SECONDS + GRACE_SECONDS + SECONDS_FOR_THE_REST
        [message] = gateway.messages()
        [verified] = [e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "verify"]
        assert (message["disposition"], verified["outcome"]) == ("ticketed", "indeterminate")


@pytest.mark.parametrize(
    ("choice", "answer", "kept"),
    [("defer", (451, "4.4.3"), []), ("quarantine", (250, "2.0.0"), ["quarantined"])],
)
async def test_a_policy_says_what_becomes_of_mail_nobody_would_vouch_for(
    seed: Path, tmp_path: Path, choice: str, answer: tuple[int, str], kept: list[str]
) -> None:
    async with gateway_with(seed, tmp_path / "data", f"accept: {{indeterminate: {choice}}}") as gateway:
        reply, _ = await send(gateway, silent(1), "<sid@silent.test>")
        assert (reply.code, reply.enhanced) == answer
        assert [m["disposition"] for m in gateway.messages()] == kept


async def test_others_are_unharmed_while_many_wait_for_silent_names(seed: Path, tmp_path: Path) -> None:
    budget = 3 * UNHARMED_SECONDS  # on a busy machine too the five below are answered within it
    async with gateway_with(seed, tmp_path / "data", budget_seconds=budget) as gateway:
        waiting = [asyncio.create_task(send(gateway, silent(n, signatures=10), "<sid@silent.test>")) for n in range(20)]
        await SilentNames.asked_in_vain.wait()
        for n in range(5):
            reply, seconds = await send(gateway, numbered(f"well {n}"), "<carol@customer.test>")
            assert reply.code == 250
            assert seconds < UNHARMED_SECONDS
        assert not any(task.done() for task in waiting)
        for reply, seconds in await asyncio.gather(*waiting):
            assert reply.code == 250
            assert seconds < budget + GRACE_SECONDS + SECONDS_FOR_THE_REST


async def test_names_that_fail_at_once_are_indeterminate_at_once(seed: Path, tmp_path: Path) -> None:
    """A dead name server (SERVFAIL from the resolver) is a doubt, never a pass nor a fail."""
    content = numbered(1).replace(b"carol@customer.test>\r\nTo", b"carol@broken.test>\r\nTo")
    async with gateway_with(seed, tmp_path / "data") as gateway:
        reply, seconds = await send(gateway, content, "<carol@broken.test>")
        assert (reply.code, seconds < UNHARMED_SECONDS + BUDGET_SECONDS) == (250, True)
        [verified] = [e for e in gateway.trace(reply.trace)["events"] if e["stage"] == "verify"]
        assert verified["outcome"] == "indeterminate"
