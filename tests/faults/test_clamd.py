"""clamd stops, hangs or talks nonsense: what the policy says happens, others are unharmed, nothing infected is let go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.store import changes, message_reading, outbox_reading, ticket_reading
from tests.servers.clamd import MARKER, ClamdServer
from tests.servers.fake_clamd import FakeClamd, answer
from tests.servers.inprocess import Gateway, Reply, fresh_ground, make_seed, numbered, running

TIMEOUT_SECONDS = 5.0
"""A busy machine has clamd answer within it, and us begin a transaction meanwhile."""


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seed(tmp_path_factory.mktemp("seed"))


@asynccontextmanager
async def gateway_with(seed: Path, folder: Path, address: str, policy: str = "") -> AsyncIterator[Gateway]:
    more = {"GATEWAY_CLAMAV__ADDRESS": address, "GATEWAY_CLAMAV__TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}
    async with running(fresh_ground(seed, folder, **more)) as gateway:
        if policy:
            changes.publish_policy(gateway.ground.store, gateway.account_id(), policy)
            await gateway.line.store_pool(gateway.line.directory.refresh)
        yield gateway


def infected(n: object) -> bytes:
    return numbered(n, text=MARKER.decode())


def with_file(n: object) -> bytes:
    """A message with a photo of no importance."""
    head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b"
    body = "--b\r\nContent-Type: text/plain\r\n\r\nSee the photo.\r\n--b\r\nContent-Type: image/png\r\n"
    body += "Content-Disposition: attachment; filename=photo.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b--\r\n"
    return numbered(n, head, text=body)


async def send(gateway: Gateway, content: bytes, sender: str = "<carol@customer.test>") -> tuple[Reply, float]:
    began = time.monotonic()
    async with gateway.client() as client:
        reply = await client.mail(content, sender=sender)
    return reply, time.monotonic() - began


def scanned(gateway: Gateway, trace: str) -> tuple[str, str]:
    """What the trace says of the scan: outcome and reason."""
    [step] = [e for e in gateway.trace(trace)["events"] if e["stage"] == "scan"]
    return step["outcome"], step["detail"].get("reason") or step["reason"]


async def test_a_stopped_clamd_defers_and_is_used_again_when_it_returns(
    clamd: ClamdServer, seed: Path, tmp_path: Path
) -> None:
    async with gateway_with(seed, tmp_path / "data", clamd.address) as gateway:
        assert (await send(gateway, numbered("before")))[0].code == 250
        clamd.stop()
        try:
            reply, _ = await send(gateway, numbered("while"))
            assert (reply.code, reply.enhanced) == (451, "4.3.0")
            assert scanned(gateway, reply.trace) == ("unscanned", "down")
        finally:
            clamd.start()
        reply, _ = await send(gateway, numbered("while"))
        assert reply.code == 250
        assert scanned(gateway, reply.trace)[0] == "clean"
        assert [m["subject"] for m in gateway.messages()] == ["Pump while", "Pump before"]


@pytest.mark.parametrize(
    ("choice", "disposition"), [("hold", "ticketed"), ("accept", "ticketed"), ("quarantine", "quarantined")]
)
@pytest.mark.parametrize("fault", ["stopped", "nonsense"])
async def test_the_policy_says_what_becomes_of_mail_that_nothing_scanned(
    seed: Path, tmp_path: Path, choice: str, disposition: str, fault: str
) -> None:
    with FakeClamd(answer(b"stream: I am not clamd\0")) as liar:
        address = liar.address if fault == "nonsense" else f"unix:{tmp_path / 'nobody'}"
        async with gateway_with(seed, tmp_path / "data", address, f"virus: {{scanner_down: {choice}}}") as gateway:
            reply, _ = await send(gateway, with_file(1))
            assert reply.code == 250
            assert scanned(gateway, reply.trace) == ("unscanned", "protocol" if fault == "nonsense" else "down")
            [message] = gateway.messages()
            assert message["disposition"] == disposition
            [file] = message_reading.message(gateway.ground.store, gateway.account_id(), message["id"])["attachments"]
            assert file["disposition"] == {"hold": "held", "accept": "kept", "quarantine": "held"}[choice]


async def test_a_hanging_clamd_costs_its_timeout_and_nobody_else(
    clamd: ClamdServer, seed: Path, tmp_path: Path
) -> None:
    async with gateway_with(seed, tmp_path / "data", clamd.address) as gateway:
        assert (await send(gateway, numbered("before")))[0].code == 250
        clamd.pause()
        try:
            waiting = [asyncio.create_task(send(gateway, numbered(n))) for n in range(20)]
            async with gateway.client() as other:
                began = time.monotonic()
                assert (await other.say("NOOP")).code == 250
                assert [r.code for r in await other.begin("support@acme.gw.test")] == [250, 250]
                assert time.monotonic() - began < TIMEOUT_SECONDS
            answered = await asyncio.gather(*waiting)
        finally:
            clamd.resume()
        assert {(r.code, r.enhanced) for r, _ in answered} == {(451, "4.3.0")}
        assert max(seconds for _, seconds in answered) < 2 * TIMEOUT_SECONDS
        again = [await send(gateway, numbered(n)) for n in range(20)]
        assert {r.code for r, _ in again} == {250}
        assert len(gateway.messages()) == 21


async def test_what_is_infected_is_refused_and_behind_a_probable_forwarder_kept_apart_for_ever(
    clamd: ClamdServer, seed: Path, tmp_path: Path
) -> None:
    async with gateway_with(seed, tmp_path / "data", clamd.address) as gateway:
        reply, _ = await send(gateway, infected("direct"))
        assert (reply.code, reply.enhanced) == (550, "5.7.1")
        assert gateway.messages() == []
        rewritten = "<SRS0=abcd=AB=elsewhere.test=carol@customer.test>"
        reply, _ = await send(gateway, infected("forwarded"), rewritten)
        assert reply.code == 250
        [message] = gateway.messages()
        assert (message["disposition"], message["reason"]) == ("quarantined", "virus")
        assert outbox_reading.outbox_rows(gateway.ground.store, None) == []
        assert ticket_reading.tickets(gateway.ground.store, gateway.account_id()) == []


async def test_what_is_infected_is_found_once_clamd_is_back(clamd: ClamdServer, seed: Path, tmp_path: Path) -> None:
    """Deferred while clamd is away, refused when it is there: it was never let through in between."""
    async with gateway_with(seed, tmp_path / "data", clamd.address) as gateway:
        clamd.stop()
        try:
            assert (await send(gateway, infected(1)))[0].code == 451
        finally:
            clamd.start()
        assert (await send(gateway, infected(1)))[0].code == 550
        assert gateway.messages() == []
