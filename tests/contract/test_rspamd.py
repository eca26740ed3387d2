"""rspamd's opinion as facts, from a real one and from liars. Whatever it does, mail goes on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.envelope import Client
from gateway.core.ports import Mail, ScannerResult
from gateway.core.reports import ScanStatus
from gateway.scan.files import parse_and_see
from gateway.scan.runner import ScanRunner
from gateway.scan.scanners import _checkv2
from gateway.scan.scanners import rspamd as scanner_module
from gateway.scan.scanners.rspamd import SCANNER, facts_of
from gateway.settings import DnsSettings, RspamdSettings, Settings
from tests.servers.rspamd import GTUBE, RspamdServer, running

HAM = b"From: carol@customer.example\r\nSubject: my invoice\r\n\r\nPlease find it.\r\n"
SPAM = b"From: x@bot.test\r\nSubject: hi\r\n\r\n" + GTUBE + b"\r\n"
PROBABLY_SPAM = HAM.replace(b"my invoice", b"you won the lottery")
MAIL = Mail("7F3KQ2MXA5BTW6DR", Client("192.0.2.7", "mail.customer.example"), "carol@customer.example", ("a@b.test",))
VERDICT = {"action": "no action", "score": 1.25, "required_score": 15, "symbols": {}}


@pytest.fixture(scope="module")
def rspamd() -> Iterator[RspamdServer]:
    yield from running()


@asynccontextmanager
async def scanner(url: str, *, seconds: float = 30, password: str = "", zone: Path | None = None):
    settings = Settings(
        rspamd=RspamdSettings(url=url, timeout_seconds=seconds, password=password),
        dns=DnsSettings(zone_file=zone, nameservers=("127.0.0.1",), port=1, timeout_seconds=0.2),
    )
    made = SCANNER.make(settings)
    yield made
    await made.close()


async def facts(url: str, content: bytes = HAM, mail: Mail = MAIL, **how) -> dict[str, float | str]:
    """By way of the runner, beside nobody."""
    async with scanner(url, **how) as made:
        runner = ScanRunner([made], asyncio.to_thread)
        report = await runner.scan(content, *parse_and_see(content), runner.ask(content))
        assert (report.status, report.reason) == (ScanStatus.UNSCANNED, "scanner-off")
        return dict(report.facts)


def test_without_a_url_there_is_none():
    assert SCANNER.make(Settings()) is None


async def test_a_real_one_gives_score_action_and_symbols(rspamd):
    assert await facts(rspamd.url) == {
        "rspamd.score": 0.1, "rspamd.required": 15.0, "rspamd.action": "no action", "rspamd.symbols": "TOLD 0.1",
    }  # fmt: skip
    found = await facts(rspamd.url, PROBABLY_SPAM)
    assert (found["rspamd.action"], found["rspamd.score"]) == ("add header", 7.6)
    assert found["rspamd.symbols"] == "SUBJECT_SAYS_LOTTERY 7.5, TOLD 0.1"
    found = await facts(rspamd.url, SPAM)
    assert (found["rspamd.action"], found["rspamd.score"]) == ("reject", 15.0)
    assert str(found["rspamd.symbols"]).startswith("GTUBE")


async def test_a_real_one_is_told_the_transaction(rspamd, tmp_path):
    zone = tmp_path / "zone"
    zone.write_text(
        "7.2.0.192.in-addr.arpa. IN PTR mail.customer.example.\nmail.customer.example. IN A 192.0.2.7\n"
        "8.2.0.192.in-addr.arpa. IN PTR mail.customer.example.\n"
    )
    async with scanner(rspamd.url, zone=zone) as made:
        await made.scan(HAM, MAIL)
        assert rspamd.told == (
            "ip=192.0.2.7 helo=mail.customer.example host=mail.customer.example from=carol@customer.example rcpt=1 "
            "queue=7F3KQ2MXA5BTW6DR"
        )
        await made.scan(HAM, Mail("T", Client("192.0.2.8", "x\r\nIP: 1.2.3.4"), None, ("a@b.test", "b@b.test")))
        assert rspamd.told == "ip=192.0.2.8 helo=x  IP: 1.2.3.4 host=nil from= rcpt=2 queue=T"
        await made.scan(HAM, Mail())
        assert "from=none rcpt=0" in rspamd.told


async def test_a_real_one_takes_large_mail_and_an_empty_one(rspamd):
    large = HAM + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 130_000
    assert (await facts(rspamd.url, large, seconds=30))["rspamd.action"] == "no action"
    assert "rspamd.state" not in await facts(rspamd.url, b"")


async def test_a_real_one_that_hangs_is_a_timeout_and_recovers(rspamd):
    rspamd.pause()
    try:
        began = time.monotonic()
        assert await facts(rspamd.url, seconds=0.4) == {"rspamd.state": "timeout"}
        assert time.monotonic() - began < 3
    finally:
        rspamd.resume()
    assert (await facts(rspamd.url))["rspamd.action"] == "no action"


async def test_a_real_one_says_what_it_is(rspamd):
    async with scanner(rspamd.url) as made:
        assert (await made.version()).startswith("rspamd/")


async def test_nobody_listening_is_down():
    assert await facts("http://127.0.0.1:1") == {"rspamd.state": "down"}


# --- liars ---

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def liar(behave: Behaviour) -> AsyncIterator[str]:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
            await writer.drain()
        except ConnectionError:
            pass  # the gateway hung up first, which is its right
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ended.set()


async def request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    sizes = {k.lower(): v for k, v in fields.items()}
    return head + await reader.readexactly(int(sizes.get(b"content-length", b"0")))


def says(body: bytes | dict, status: bytes = b"200 OK", extra: bytes = b"") -> Behaviour:
    text = json.dumps(body).encode() if isinstance(body, dict) else body

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n" % len(text) + extra + b"\r\n" + text)

    return behave


async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(1 << 16):
        pass


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Each octet comes before a read would be given up."""
    await request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        if reader.at_eof():
            return
        await asyncio.sleep(0.02)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def hangs_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await request(reader)


def raw(octets: bytes) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(octets)

    return behave


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        pytest.param(hangs, "timeout", id="hangs"),
        pytest.param(drips, "timeout", id="drips"),
        pytest.param(endless, "protocol", id="endless reply"),
        pytest.param(hangs_up, "protocol", id="hangs up"),
        pytest.param(raw(b"220 mail.test ESMTP\r\n"), "protocol", id="another protocol"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"), "protocol", id="half a reply"),
        pytest.param(says(VERDICT, b"500 Internal Server Error"), "protocol", id="HTTP 500"),
        pytest.param(says(VERDICT, b"403 Forbidden"), "protocol", id="wrong password"),
        pytest.param(says(b"", b"302 Found", b"Location: http://127.0.0.1:1/\r\n"), "protocol", id="redirect"),
        pytest.param(says(b""), "protocol", id="nothing"),
        pytest.param(says(b"<html>"), "protocol", id="HTML"),
        pytest.param(says(b"[]"), "protocol", id="a list"),
        pytest.param(says(b"\xff\xfe"), "protocol", id="no text"),
        pytest.param(says(b"[" * 500_000), "protocol", id="deep"),
        pytest.param(says(b"{}"), "protocol", id="no verdict"),
        pytest.param(says({**VERDICT, "action": 7}), "protocol", id="a number for an action"),
        pytest.param(says({**VERDICT, "score": "high"}), "protocol", id="a word for a score"),
        pytest.param(says({**VERDICT, "score": True}), "protocol", id="true for a score"),
        pytest.param(says({**VERDICT, "score": 10**400}), "protocol", id="a score beyond all numbers"),
        pytest.param(says({**VERDICT, "score": float("nan")}), "protocol", id="NaN"),
        pytest.param(says({**VERDICT, "required_score": float("inf")}), "protocol", id="infinity"),
        pytest.param(says({**VERDICT, "symbols": {"A": {"score": "x"}}}), "protocol", id="a symbol without a score"),
    ],
)
async def test_a_liar_adds_its_state_and_nothing_else(behaviour, state):
    async with liar(behaviour) as url:
        assert await facts(url, seconds=0.5 if state == "timeout" else 30) == {"rspamd.state": state}


async def test_a_compressed_bomb_is_not_unpacked():
    async with liar(says(b"\x1f\x8b" + bytes(1000), extra=b"Content-Encoding: gzip\r\n")) as url:
        assert await facts(url) == {"rspamd.state": "protocol"}


async def test_the_password_goes_along():
    heard: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await request(reader))
        await says(VERDICT)(_again(heard[-1]), writer)

    async with liar(behave) as url:
        assert (await facts(url, password="sesame"))["rspamd.score"] == 1.25
    assert b"Password: sesame\r\n" in heard[0]
    assert heard[0].endswith(HAM)


def _again(octets: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    return reader


async def test_few_connections_at_once(monkeypatch):
    monkeypatch.setattr(_checkv2, "AT_ONCE", 2)
    at_once = most = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        body = await request(reader)
        at_once -= 1
        await says(VERDICT, extra=b"Connection: close\r\n")(_again(body), writer)

    async with liar(behave) as url, scanner(url) as made:
        results = await asyncio.gather(*(made.scan(HAM, MAIL) for _ in range(20)))
    assert all(dict(r.facts)["rspamd.score"] == 1.25 for r in results)
    assert most <= 2


async def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with liar(says(VERDICT)) as url:
        assert (await facts(url))["rspamd.score"] == 1.25


def test_symbols_are_the_heaviest_and_harmless_text():
    symbols = {f"S{n}": {"score": n / 10} for n in range(100)} | {"\x1b[31mBAYES_HAM\ud800": {"score": -50}}
    found = dict(facts_of(json.dumps({**VERDICT, "symbols": symbols, "action": "reject\r\nX: y"}).encode()))
    assert str(found["rspamd.symbols"]).startswith("[31mBAYES_HAM -50, S99 9.9, S98 9.8")
    assert str(found["rspamd.symbols"]).count(",") == scanner_module.SYMBOLS - 1
    assert found["rspamd.action"] == "reject  X: y"


async def test_its_failure_never_made_a_message_unscanned_and_never_hid_a_virus():
    class Says:
        name = "says"

        def __init__(self, status: ScanStatus) -> None:
            self.status = status

        async def scan(self, content: bytes, mail: Mail) -> ScannerResult:
            return ScannerResult(self.status)

    async with scanner("http://127.0.0.1:1") as made:
        for status in (ScanStatus.CLEAN, ScanStatus.INFECTED):
            runner = ScanRunner([Says(status), made], asyncio.to_thread)
            report = await runner.scan(HAM, *parse_and_see(HAM), runner.ask(HAM))
            assert (report.status, report.facts) == (status, (("rspamd.state", "down"),))
