"""SIGTERM and SIGHUP with every kind of session open: TLS, LMTP, a transaction by BDAT that has begun."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.test_graceful_stop import NOT_SILENT
from tests.servers.certificates import Authority
from tests.servers.gateway import RunningGateway, last_reply, mail, wait_until


class Lmtp(smtplib.LMTP):
    """On the path of a unix socket."""


def tls(gateway: RunningGateway, authority: Authority) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", gateway.smtp_port, timeout=60)
    client.ehlo("client.test")
    client._host = "mx.gw.test"  # type: ignore[attr-defined]
    client.starttls(context=ssl.create_default_context(cadata=authority.cert_pem))
    client.ehlo("client.test")
    return client


def begin(client: smtplib.SMTP) -> None:
    assert client.docmd("MAIL FROM:<a@customer.test>")[0] == 250
    assert client.docmd("RCPT TO:<support@acme.gw.test>")[0] == 250


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def running(tmp_path: Path, authority: Authority) -> RunningGateway:
    cert, key = authority.issue("mx.gw.test").write(tmp_path / "tls")
    gateway = RunningGateway(tmp_path)
    listeners = [f"127.0.0.1:{gateway.smtp_port}", f"lmtp:unix:{tmp_path}/l.sock"]
    text = gateway.config.read_text().replace(
        f'listen = ["127.0.0.1:{gateway.smtp_port}"]',
        f'listen = {str(listeners).replace(chr(39), chr(34))}\ntls_cert = "{cert}"\ntls_key = "{key}"',
    )
    gateway.config.write_text(text)
    return gateway


def stop(gateway: RunningGateway) -> None:
    gateway.terminate()


def replace(gateway: RunningGateway) -> None:
    assert gateway.process
    os.kill(gateway.process.pid, signal.SIGHUP)


@pytest.mark.parametrize("ask", [stop, replace])
def test_every_kind_of_begun_session_is_finished(
    running: RunningGateway, authority: Authority, ask: Callable[[RunningGateway], None]
) -> None:
    with running as gateway:
        gateway.start(tune=NOT_SILENT)
        before = gateway.worker_pid()
        idle, secure, chunked = (tls(gateway, authority) for _ in range(3))
        lmtp = Lmtp(f"{gateway.folder}/l.sock", timeout=60)
        lmtp.ehlo("client.test")
        contents = [mail(f"stop-{n}") for n in range(3)]
        for client in (secure, chunked, lmtp):
            begin(client)
        for client in (secure, lmtp):
            assert client.docmd("DATA")[0] == 354
        chunked.send(b"BDAT %d\r\n" % len(contents[1]) + contents[1][:30])

        ask(gateway)

        assert last_reply(idle).code == 421
        secure.send(contents[0] + b".\r\n")
        chunked.send(contents[1][30:])
        assert last_reply(chunked).code == 250
        chunked.send(b"BDAT 0 LAST\r\n")
        lmtp.send(contents[2] + b".\r\n")
        for client in (secure, chunked, lmtp):
            assert last_reply(client).code == 250
            assert last_reply(client).code == 421
        for client in (idle, secure, chunked, lmtp):
            client.close()
        if ask is replace:
            wait_until(lambda: "reloaded" in gateway.log.read_text(), "replaced", 60)
            assert gateway.worker_pid() != before
            assert tls(gateway, authority).quit()[0] == 221
            gateway.terminate()
        assert gateway.wait_dead() == 0
        assert {gateway.raw("acme", m["id"]) for m in gateway.messages()} == set(contents)


def test_a_client_in_the_middle_of_its_handshake_does_not_hold_the_stop_up(running: RunningGateway) -> None:
    with running as gateway:
        gateway.start()
        with socket.create_connection(("127.0.0.1", gateway.smtp_port), 60) as client:
            file = client.makefile("rb")
            assert file.readline().startswith(b"220")
            client.sendall(b"EHLO x\r\n")
            while not file.readline().startswith(b"250 "):
                pass
            client.sendall(b"STARTTLS\r\n")
            assert file.readline().startswith(b"220")
            assert gateway.stop() == 0
        assert "grace ran out" not in gateway.log.read_text()
