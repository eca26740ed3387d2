"""Sockets from systemd (sd_listen_fds(3)), a reload, and TCP_NODELAY, with the real gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.worker import inherited
from tests.servers.activation import handed, start
from tests.servers.gateway import RunningGateway, mail, wait_until


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path) as made:
        yield made


def test_mail_comes_through_handed_sockets_and_waits_in_them_while_serve_is_away(gateway: RunningGateway) -> None:
    with handed(gateway, gateway.smtp_port, gateway.http_port) as command:
        start(gateway, command)
        wait_until(gateway.ready, "ready", 120)
        assert gateway.send(mail(1)).code == 250
        workers = Path(f"/proc/{gateway.worker_pid()}/environ").read_bytes()
        assert b"LISTEN_" not in workers
        assert gateway.stop() == 0

        with socket.create_connection(("127.0.0.1", gateway.smtp_port), 60) as early:
            start(gateway, command)
            early.settimeout(60)
            assert early.recv(4) == b"220 "
        wait_until(gateway.ready, "ready", 120)
        assert gateway.stop() == 0


def test_serve_does_not_start_with_sockets_that_do_not_fit(gateway: RunningGateway) -> None:
    with handed(gateway, gateway.smtp_port) as command:
        start(gateway, command)
        assert gateway.process
        assert gateway.process.wait(120) == 1
        gateway.process = None
    said = gateway.log.read_text()
    assert f"http.listen: the .socket unit hands no socket for 127.0.0.1:{gateway.http_port}" in said
    assert "Traceback" not in said


def test_a_reload_with_a_bad_configuration_changes_nothing_and_a_good_one_is_taken(gateway: RunningGateway) -> None:
    gateway.start()
    assert gateway.process
    before, good = gateway.worker_pid(), gateway.config.read_text()

    gateway.config.write_text(good.replace("[smtp]", "[smtp]\nlistn = []"))
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: "did you mean smtp.listen?" in gateway.log.read_text(), "the reason is told", 60)
    assert gateway.send(mail(1)).code == 250
    assert gateway.worker_pid() == before
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: gateway.worker_pid() != before, "another worker")
    assert gateway.send(mail(2)).code == 250

    before = gateway.worker_pid()
    changed = good.replace('hostname = "mx.gw.test"', 'hostname = "mx2.gw.test"')
    gateway.config.write_text(changed.replace(f"127.0.0.1:{gateway.smtp_port}", "127.0.0.1:1"))
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: "reloaded: 1 worker replaced" in gateway.log.read_text(), "it is replaced", 60)
    assert "smtp.listen: needs a restart" in gateway.log.read_text()
    with socket.create_connection(("127.0.0.1", gateway.smtp_port), 60) as client:
        assert client.recv(100).startswith(b"220 mx2.gw.test")
    assert gateway.stop() == 0


@pytest.mark.parametrize("protocol", [0, socket.IPPROTO_TCP])
async def test_accepted_sockets_of_an_inherited_listener_do_not_delay(protocol: int) -> None:
    """As the worker takes them: by number. A listener made with protocol 0 must not stall every message for 40 ms."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        accepted: asyncio.Queue[int] = asyncio.Queue()

        class Session(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                sock = transport.get_extra_info("socket")
                accepted.put_nowait(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()

        (listening,) = inherited([os.dup(ours.fileno())])
        server = await asyncio.get_running_loop().create_server(Session, sock=listening)
        async with server:
            _, writer = await asyncio.open_connection(*ours.getsockname())
            assert await asyncio.wait_for(accepted.get(), 60)
            writer.close()
            await writer.wait_closed()
