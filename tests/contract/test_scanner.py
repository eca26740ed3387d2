"""What every scanner owes the line, tried on a real clamd and on liars."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import socket
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import clamd as clamd_package
import pytest

from gateway.core.ports import ScannerResult
from gateway.core.reports import ScanStatus
from gateway.scan import clamd_address
from gateway.scan.clamd_address import describe
from gateway.scan.scanners import clamav
from gateway.scan.scanners.clamav import ClamAv, make
from tests.servers import fake_clamd
from tests.servers.clamd import MARKER, ClamdServer
from tests.servers.fake_clamd import FakeClamd

CLEAN = b"From: a@example.org\r\nSubject: hello\r\n\r\nGood morning.\r\n"
EICAR_MAIL = (
    b"From: a@example.org\r\nSubject: look\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee file\r\n'
    b'--b\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    + base64.encodebytes(clamd_package.EICAR).replace(b"\n", b"\r\n")
    + b"--b--\r\n"
)


class Bench:
    """Makes scanners."""

    def __init__(self, directory: Path) -> None:
        self.marker = directory / "clamd.seen"

    def scanner(self, address: str, seconds: float = 20) -> ClamAv:
        return make(address, seconds, self.marker)

    async def scan(self, address: str, content: bytes = CLEAN, seconds: float = 20) -> ScannerResult:
        return await self.scanner(address, seconds).scan(content)


@pytest.fixture
def bench(tmp_path: Path):
    return Bench(tmp_path)


@pytest.fixture
async def running(clamd: ClamdServer) -> AsyncIterator[ClamdServer]:
    yield clamd
    clamd.resume()


def addresses(server: ClamdServer) -> list[str]:
    return [server.address, f"tcp://127.0.0.1:{server.tcp_port}"]


async def test_clean_mail_is_clean_on_both_kinds_of_socket(clamd, bench):
    for address in addresses(clamd):
        assert await bench.scan(address) == ScannerResult(ScanStatus.CLEAN)
        assert await bench.scan(address, b"") == ScannerResult(ScanStatus.CLEAN)


async def test_a_virus_in_an_attachment_is_named(clamd, bench):
    for address in addresses(clamd):
        result = await bench.scan(address, EICAR_MAIL)
        assert result.status is ScanStatus.INFECTED
        assert [f.name for f in result.findings] == ["Eicar-Test-Signature.UNOFFICIAL"]


@pytest.mark.parametrize("size", [131_071, 131_072, 131_073, 262_144, 3_000_000])
async def test_every_byte_arrives_whatever_the_chunks(clamd, bench, size):
    """The marker stands at the very end, across and around the borders of chunks."""
    content = b"x" * (size - len(MARKER)) + MARKER
    assert (await bench.scan(clamd.address, content)).status is ScanStatus.INFECTED


async def test_over_the_stream_limit_is_unscannable_and_no_broken_pipe(clamd, bench):
    for address in addresses(clamd):
        result = await bench.scan(address, bytes(40 << 20))
        assert (result.status, result.reason) == (ScanStatus.UNSCANNABLE, "over-limit")


async def test_the_message_after_one_over_the_stream_limit_was_down(clamd, bench):
    """Its connection got the number of the one before, which was still in the selector."""
    for address in addresses(clamd) * 3:
        scanner = bench.scanner(address)
        assert (await scanner.scan(bytes(40 << 20))).reason == "over-limit"
        assert await scanner.scan(os.urandom(9000)) == ScannerResult(ScanStatus.CLEAN)


async def test_limits_inside_clamd_are_unscannable_not_infected(bench):
    server = small_limits()
    try:
        result = await bench.scan(server.address, os.urandom(3 << 20))
        assert (result.status, result.reason) == (ScanStatus.UNSCANNABLE, "over-limit")
        assert result.findings[0].name.startswith("Heuristics.Limits.Exceeded")
    finally:
        server.remove()


def small_limits() -> ClamdServer:
    from tests.servers.clamd import program

    if not program():
        from tests.conftest import missing

        missing("clamd: apt-get install clamav-daemon")
    return ClamdServer(settings="MaxFileSize 1M\nMaxScanSize 2M").start()


async def test_an_encrypted_archive_is_unscannable_and_says_why(clamd, bench):
    result = await bench.scan(clamd.address, encrypted_zip())
    assert (result.status, result.reason) == (ScanStatus.UNSCANNABLE, "encrypted")
    assert result.findings[0].name.startswith("Heuristics.Encrypted")


def encrypted_zip() -> bytes:
    """zipfile writes no encryption, but the flag in both headers is all that a scanner can see."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("secret.txt", os.urandom(64))
    data = bytearray(out.getvalue())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


async def test_nobody_listening_is_down(bench, tmp_path):
    assert (await bench.scan(f"unix:{tmp_path}/none")).reason == "down"
    assert (await bench.scan("tcp://127.0.0.1:1")).reason == "down"


async def test_a_stopped_clamd_is_a_timeout_and_recovers_by_itself(running, bench):
    scanner = bench.scanner(running.address, seconds=0.3)
    running.pause()
    began = time.monotonic()
    assert await scanner.scan(CLEAN) == ScannerResult(ScanStatus.UNSCANNED, "timeout")
    assert await scanner.scan(bytes(20 << 20)) == ScannerResult(ScanStatus.UNSCANNED, "timeout")
    assert not await scanner.ping()
    assert time.monotonic() - began < 5
    running.resume()
    assert (await bench.scan(running.address)).status is ScanStatus.CLEAN


async def test_a_killed_clamd_is_down_and_found_again(bench):
    server = small_limits()
    try:
        scanner = bench.scanner(server.address)
        assert await scanner.ping()
        server.kill()
        assert (await scanner.scan(CLEAN)).reason == "down"
        server.start()
        assert (await scanner.scan(CLEAN)).status is ScanStatus.CLEAN
    finally:
        server.remove()


async def test_a_clamd_killed_in_the_middle_of_a_scan_is_down(bench):
    server = small_limits()
    try:
        server.pause()
        scanning = asyncio.create_task(bench.scan(server.address, bytes(20 << 20)))
        await asyncio.sleep(0)  # lets the scan begin; clamd is frozen, so it cannot have ended
        await asyncio.to_thread(server.kill)
        assert (await scanning).reason == "down"
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("behaviour", "status", "reason"),
    [
        pytest.param(fake_clamd.hang, "unscanned", "timeout", id="hangs"),
        pytest.param(fake_clamd.deaf, "unscanned", "timeout", id="never reads"),
        pytest.param(fake_clamd.close, "unscanned", "down", id="hangs up"),
        pytest.param(fake_clamd.refuse, "unscanned", "down", id="refuses"),
        pytest.param(fake_clamd.ok_over_the_limit, "unscanned", "protocol", id="OK over the limit"),
        pytest.param(fake_clamd.answer(b""), "unscanned", "down", id="says nothing"),
        pytest.param(fake_clamd.answer(b"stream: O"), "unscanned", "protocol", id="half a reply"),
        pytest.param(fake_clamd.answer(b"stream: OK"), "unscanned", "protocol", id="reply without its end"),
        pytest.param(fake_clamd.answer(b"HTTP/1.1 200 OK\r\n\r\n\0"), "unscanned", "protocol", id="another protocol"),
        pytest.param(fake_clamd.answer(b"x" * 100_000 + b"\0"), "unscanned", "protocol", id="endless reply"),
        pytest.param(fake_clamd.answer(b"stream: OK\0stream: X FOUND\0"), "unscanned", "protocol", id="two replies"),
        pytest.param(fake_clamd.answer(b"\xff\xfe\0"), "unscanned", "protocol", id="no text"),
        pytest.param(fake_clamd.early(b"stream: OK\0"), "unscanned", "protocol", id="clean before it had all"),
        pytest.param(
            fake_clamd.early(b"INSTREAM size limit exceeded. ERROR\0"), "unscannable", "over-limit", id="limit"
        ),
        pytest.param(fake_clamd.answer(b"stream: No space left ERROR\0"), "unscanned", "error", id="error"),
        pytest.param(fake_clamd.answer(b"stream: Time limit reached ERROR\0"), "unscannable", "over-limit", id="time"),
        pytest.param(fake_clamd.answer(b"stream: OK\0"), "clean", "", id="honest"),
    ],
)
async def test_a_liar_is_never_clean(bench, behaviour, status, reason):
    with FakeClamd(behaviour) as liar:
        result = await bench.scan(liar.address, bytes(8 << 20), seconds=0.5 if reason == "timeout" else 20)
    assert (result.status.value, result.reason) == (status, reason)


async def test_a_name_from_clamd_carries_no_control_characters(bench):
    with FakeClamd(fake_clamd.answer(b"stream: Evil\rX-Injected: \x1b[31m FOUND\0")) as liar:
        result = await bench.scan(liar.address)
    assert result.findings[0].name.isprintable()


async def test_waiting_for_its_turn_counts_against_the_timeout(bench):
    with FakeClamd(fake_clamd.hang) as liar:
        scanner = bench.scanner(liar.address, seconds=2)
        began = time.monotonic()
        results = await asyncio.gather(*(scanner.scan(CLEAN) for _ in range(12)))
    assert {r.reason for r in results} == {"timeout"}
    assert time.monotonic() - began < 4  # four at once, one after another: six


async def test_at_most_four_scans_run_at_once(bench, tmp_path):
    at_once = most = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await reader.readuntil(bytes(4))
        at_once -= 1
        writer.write(b"stream: OK\0")
        writer.close()

    async with await asyncio.start_unix_server(behave, tmp_path / "clamd.sock"):
        scanner = bench.scanner(f"unix:{tmp_path}/clamd.sock")
        results = await asyncio.gather(*(scanner.scan(CLEAN) for _ in range(40)))
    assert {r.status for r in results} == {ScanStatus.CLEAN}
    assert most == clamav.SCANS_AT_ONCE


async def test_small_mail_waited_behind_the_scans_of_large_mail(bench, tmp_path):
    """Ten messages of 10 MB held every thread for seconds."""
    small_is_clean = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        first = size = int.from_bytes(await reader.readexactly(4), "big")
        if first > len(CLEAN):
            await small_is_clean.wait()
        while size:
            await reader.readexactly(size)
            size = int.from_bytes(await reader.readexactly(4), "big")
        writer.write(b"stream: OK\0")
        writer.close()

    async with await asyncio.start_unix_server(behave, tmp_path / "clamd.sock"):
        scanner = bench.scanner(f"unix:{tmp_path}/clamd.sock")
        large = [asyncio.create_task(scanner.scan(bytes(clamav.LARGE_OCTETS))) for _ in range(10)]
        await asyncio.sleep(0)
        assert (await scanner.scan(CLEAN)).status is ScanStatus.CLEAN
        small_is_clean.set()
        assert {result.status for result in await asyncio.gather(*large)} == {ScanStatus.CLEAN}


async def test_auto_finds_a_clamd_remembers_it_and_then_misses_it(bench, monkeypatch, tmp_path):
    with FakeClamd(fake_clamd.answer(b"stream: OK\0")) as fake:
        monkeypatch.setattr(clamd_address, "USUAL_SOCKETS", (f"{tmp_path}/none", str(fake.socket_path)))
        scanner = bench.scanner("auto")
        assert "found by itself" in describe("auto")
        assert not bench.marker.exists()
        assert (await scanner.scan(CLEAN)).status is ScanStatus.CLEAN
        assert bench.marker.exists()
    assert (await scanner.scan(CLEAN)).reason == "down"
    assert (await bench.scan("auto")).reason == "down", "another process of this data directory misses it too"
    assert "DOWN" in describe("auto", bench.marker)


async def test_auto_without_any_clamd_is_off_until_one_comes(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(clamd_address, "USUAL_SOCKETS", ())
    scanner = bench.scanner("auto")
    assert (await scanner.scan(CLEAN)) == ScannerResult(ScanStatus.UNSCANNED, "scanner-off")
    assert "NO VIRUS SCANNER" in describe("auto", bench.marker)
    with FakeClamd(fake_clamd.answer(b"stream: OK\0")) as fake:
        monkeypatch.setattr(clamd_address, "USUAL_SOCKETS", (str(fake.socket_path),))
        assert (await scanner.scan(CLEAN)).status is ScanStatus.CLEAN


async def test_a_socket_file_nobody_listens_on_is_down_not_off(bench, monkeypatch):
    with tempfile.TemporaryDirectory(prefix="stale-") as directory:
        path = f"{directory}/clamd.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        monkeypatch.setattr(clamd_address, "USUAL_SOCKETS", (path,))
        assert (await bench.scan("auto")).reason == "down"
    assert not bench.marker.exists()


async def test_off_is_off_and_loud(bench):
    assert (await bench.scan("off")) == ScannerResult(ScanStatus.UNSCANNED, "scanner-off")
    assert "NO VIRUS SCANNER" in describe("off")
    assert not await bench.scanner("off").ping()


async def test_where_yara_judges_no_clamd_is_said_without_alarm(bench, monkeypatch):
    monkeypatch.setattr(clamd_address, "USUAL_SOCKETS", ())
    for address in ("off", "auto"):
        said = describe(address, bench.marker, beside="YARA rules")
        assert said.startswith("No clamd: ")
        assert "judged by YARA rules alone" in said


async def test_a_full_backlog_is_waited_for(bench, tmp_path):
    """connect() on a Unix socket says EAGAIN then, which asyncio takes for a connection that is on its way."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(f"{tmp_path}/clamd.sock")
        listener.listen(0)
        first.connect(f"{tmp_path}/clamd.sock")
        assert (await bench.scan(f"unix:{tmp_path}/clamd.sock", seconds=0.1)).reason == "timeout"
        scanning = asyncio.create_task(bench.scan(f"unix:{tmp_path}/clamd.sock"))
        await asyncio.sleep(0.05)
        listener.accept()[0].close()
        accepted = await asyncio.to_thread(listener.accept)
        with accepted[0] as clamd_side:
            await asyncio.to_thread(clamd_side.recv, 4096)
            clamd_side.sendall(b"stream: OK\0")
            assert (await scanning).status is ScanStatus.CLEAN
