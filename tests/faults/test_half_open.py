"""Clients that are there no more, and never said so: their files come back when the idle time is over (RFC 5321 section 4.5.3.2)."""

from __future__ import annotations

import contextlib
import smtplib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.faults.tracing import smtp_worker_pids
from tests.servers.gateway import RunningGateway, mail, start_data, wait_until

IDLE_SECONDS = 8.0
"""Within it all thirty sessions are made and brought to where they fall silent, on a busy machine too."""
EACH = 10
TCP_REPAIR = 19
"""From linux/tcp.h: a socket closed in this mode says neither FIN nor RST."""


def _falls_silent(client: smtplib.SMTP) -> None:
    """The connection stays, and nobody speaks again."""


def _vanishes(client: smtplib.SMTP) -> None:
    """As with a lost line, or a computer whose power failed: the other side hears nothing."""
    assert client.sock
    try:
        client.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError:
        missing("TCP_REPAIR needs Linux and CAP_NET_ADMIN")
    client.close()


def _after_ehlo(_client: smtplib.SMTP) -> None:
    pass


def _in_a_transaction(client: smtplib.SMTP) -> None:
    client.docmd("MAIL FROM:<a@customer.test>")


def _in_content(client: smtplib.SMTP) -> None:
    start_data(client)
    client.send(b"Subject: never ended\r\n")


@pytest.fixture
def sessions(gateway: RunningGateway) -> Iterator[list[smtplib.SMTP]]:
    """Thirty: ten that say EHLO, ten in a transaction, ten in the middle of their content."""
    gateway.start(tune={"idle_seconds": IDLE_SECONDS})
    assert gateway.send(mail("before")).code == 250
    with ExitStack() as stack:
        yield [stack.enter_context(gateway.session(client_ip=f"127.0.0.{n + 2}")) for n in range(3 * EACH)]


@pytest.mark.parametrize("leave", [_falls_silent, _vanishes], ids=lambda f: f.__name__.strip("_"))
def test_the_files_of_clients_that_say_nothing_more_come_back(
    gateway: RunningGateway, sessions: list[smtplib.SMTP], leave: Callable[[smtplib.SMTP], None]
) -> None:
    assert _sockets(gateway) >= len(sessions)
    for n, client in enumerate(sessions):
        (_after_ehlo, _in_a_transaction, _in_content)[n // EACH](client)
        leave(client)
    assert gateway.send(mail("meanwhile")).code == 250
    wait_until(lambda: _sockets(gateway) == 0, "no connection is left", 60)
    assert gateway.send(mail("afterwards")).code == 250
    assert len(gateway.messages()) == 3
    assert gateway.audit().problems == []


def _sockets(gateway: RunningGateway) -> int:
    """Established connections of clients that the workers hold open."""
    ours = f":{gateway.smtp_port:04X}"
    owned = {_link(f) for pid in smtp_worker_pids(gateway) for f in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(1 for r in rows if r[1].endswith(ours) and r[3] != "0A" and f"socket:[{r[9]}]" in owned)


def _link(file: Path) -> str:
    with contextlib.suppress(OSError):
        return str(file.readlink())
    return ""
