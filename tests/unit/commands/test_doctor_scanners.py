"""What doctor finds out about the scanners: real ones, set well and badly, and liars."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import doctor_scanners
from gateway.commands.findings import Finding, Health
from gateway.settings import ClamavSettings, RspamdSettings, Settings, SmtpSettings, YaraSettings
from tests.conftest import missing
from tests.servers.clamd import ClamdServer, program
from tests.servers.fake_clamd import FakeClamd, answer
from tests.servers.rspamd import RspamdServer, running

OK, WARN, FAIL = Health.OK, Health.WARN, Health.FAIL
MEBI = 1 << 20


def _settings(tmp_path: Path, **sections: Any) -> Settings:
    return Settings(hostname="mx.gw.test", domain="gw.test", data_dir=tmp_path, **sections)


# --- clamd ---


async def _clamd(tmp_path: Path, address: str, *, size: int = MEBI, seconds: float = 20) -> dict[str, Finding]:
    settings = _settings(
        tmp_path,
        clamav=ClamavSettings(address=address, timeout_seconds=seconds),
        smtp=SmtpSettings(max_message_bytes=size),
    )
    return {f.check: f async for f in doctor_scanners.clamd(settings)}


@contextmanager
def real_clamd(stream_megabytes: int = 100, *settings: str, alerts: str = "yes") -> Iterator[ClamdServer]:
    if program() is None:
        missing("clamd: apt-get install clamav-daemon")
    server = ClamdServer(stream_max_megabytes=stream_megabytes, settings="\n".join(settings))
    config = server._config.read_text()
    server._config.write_text(config.replace("AlertExceedsMax yes", f"AlertExceedsMax {alerts}"))
    server.start()
    yield server
    server.remove()


async def test_a_real_clamd_that_is_set_well_has_nothing_to_mend(tmp_path: Path) -> None:
    with real_clamd() as server:
        found = await _clamd(tmp_path, server.address, size=3 * MEBI)

    assert {f.check: f.status for f in found.values()} == {
        "clamd": OK, "clamd size": OK, "clamd reach": OK, "clamd limits": OK,
    }  # fmt: skip
    assert "finds the test virus" in found["clamd"].detail


@pytest.mark.parametrize("alerts", ["yes", "no"])
async def test_a_stream_limit_below_ours_is_told(tmp_path: Path, alerts: str) -> None:
    with real_clamd(1, alerts=alerts) as server:
        found = await _clamd(tmp_path, server.address, size=2 * MEBI)
        assert (await _clamd(tmp_path, server.address, size=MEBI // 2))["clamd size"].status is OK

    assert found["clamd size"].status is WARN
    assert "StreamMaxLength 3M" in found["clamd size"].detail
    assert "clamd reach" not in found


@pytest.mark.parametrize("limit", ["MaxFileSize 2M", "MaxScanSize 3M"])
@pytest.mark.parametrize(("alerts", "words"), [("yes", "does not look to the end"), ("no", "calls clean an archive")])
async def test_scan_limits_below_ours_are_told_and_the_cure_is_one(
    tmp_path: Path, limit: str, alerts: str, words: str
) -> None:
    with real_clamd(100, limit, alerts=alerts) as server:
        found = await _clamd(tmp_path, server.address, size=3 * MEBI)

    assert found["clamd size"].status is OK
    assert found["clamd reach"].status is WARN
    assert words in found["clamd reach"].detail
    assert "MaxFileSize 4M and MaxScanSize 16M" in found["clamd reach"].detail
    with real_clamd(100, "MaxFileSize 4M", "MaxScanSize 16M", alerts=alerts) as server:
        assert (await _clamd(tmp_path, server.address, size=3 * MEBI))["clamd reach"].status is OK


async def test_a_clamd_that_keeps_still_about_its_limits_is_told(tmp_path: Path) -> None:
    with real_clamd(alerts="no") as server:
        found = await _clamd(tmp_path, server.address)

    assert found["clamd reach"].status is OK
    assert found["clamd limits"].status is WARN
    assert "AlertExceedsMax yes" in found["clamd limits"].detail


async def test_a_clamd_that_finds_nothing_fails(tmp_path: Path) -> None:
    with FakeClamd(answer(b"stream: OK\0")) as server:
        found = await _clamd(tmp_path, server.address)

    assert found["clamd"].status is FAIL
    assert "freshclam" in found["clamd"].detail
    assert len(found) == 1


async def test_a_clamd_that_is_down_fails_and_one_that_is_off_warns(tmp_path: Path) -> None:
    assert (await _clamd(tmp_path, f"unix:{tmp_path}/nowhere"))["clamd"].status is FAIL
    assert (await _clamd(tmp_path, "off"))["clamd"].status is WARN


# --- YARA ---


def test_the_rules_of_yara_are_counted_and_a_bad_one_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.yar"
    file.write_text("rule A { condition: false } rule B { condition: false }")
    settings = _settings(tmp_path, yara=YaraSettings(rules=(file,)))
    assert doctor_scanners.yara(settings) == Finding("yara", OK, "2 rules of 1 file; matches count as infections")

    file.write_text("rule A {\n condition: nothing }")
    found = doctor_scanners.yara(settings)
    assert found.status is FAIL
    assert "a.yar, line 2" in found.detail


# --- rspamd ---


@pytest.fixture(scope="module")
def rspamd() -> Iterator[RspamdServer]:
    yield from running()


async def _spam_filter(tmp_path: Path, url: str, seconds: float = 5) -> Finding:
    settings = _settings(tmp_path, rspamd=RspamdSettings(url=url, timeout_seconds=seconds))
    return await doctor_scanners.spam_filter(settings)


async def test_a_real_rspamd_tells_its_version_and_calls_the_test_spam_spam(
    tmp_path: Path, rspamd: RspamdServer
) -> None:
    found = await _spam_filter(tmp_path, rspamd.url)

    assert found.status is OK
    assert found.detail.startswith("rspamd/")
    assert "calls the test spam spam (reject, 15 of 15)" in found.detail


async def test_an_rspamd_that_hangs_or_is_away_fails(tmp_path: Path, rspamd: RspamdServer) -> None:
    rspamd.pause()
    try:
        hanging = await _spam_filter(tmp_path, rspamd.url, seconds=0.3)
    finally:
        rspamd.resume()
    away = await _spam_filter(tmp_path, "http://127.0.0.1:1")

    assert (hanging.status, away.status) == (FAIL, FAIL)
    assert "timeout_seconds" in hanging.detail
    assert "start rspamd" in away.detail


@pytest.mark.parametrize(
    ("pong", "verdict", "words"),
    [
        (b"<html>", b"", "name its normal worker (port 11333)"),
        (b"pong", b"{}", "gives no verdict (protocol)"),
        (b"pong", b'{"action": "no action", "score": 0, "required_score": 15}', 'calls the test spam "no action"'),
    ],
)
async def test_what_is_no_spam_filter_fails(tmp_path: Path, pong: bytes, verdict: bytes, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        said = pong if head.startswith(b"GET") else verdict
        if not head.startswith(b"GET"):
            await reader.readuntil(b"C.34X\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        found = await _spam_filter(tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert found.status is FAIL
    assert words in found.detail


async def test_each_scanner_that_is_named_has_its_line(tmp_path: Path) -> None:
    rules = tmp_path / "a.yar"
    rules.write_text("rule A { condition: false }")
    off = {"clamav": ClamavSettings(address="off")}
    assert [f.check async for f in doctor_scanners.examine(_settings(tmp_path, **off))] == ["clamd"]
    settings = _settings(
        tmp_path, yara=YaraSettings(rules=(rules,)), rspamd=RspamdSettings(url="http://127.0.0.1:1"), **off
    )
    assert [f.check async for f in doctor_scanners.examine(settings)] == ["clamd", "yara", "rspamd"]
