"""Limits on clients are those of the node: its workers share them, and a killed one gives back what it held."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
from pathlib import Path

from tests.servers.gateway import RunningGateway, wait_until

CLIENT = "127.0.0.9"
LIMIT = 6


def connected(gateway: RunningGateway) -> tuple[socket.socket, bytes]:
    """A connection of the client, and the code it was greeted with."""
    connection = socket.create_connection(("127.0.0.1", gateway.smtp_port), 60, (CLIENT, 0))
    return connection, connection.recv(3, socket.MSG_WAITALL)


def as_many_as_there_may_be(gateway: RunningGateway) -> list[socket.socket]:
    """LIMIT connections that are greeted, and one more that is not."""
    made = [connected(gateway) for _ in range(LIMIT)]
    assert [code for _, code in made] == [b"220"] * LIMIT
    refused, code = connected(gateway)
    refused.close()
    assert code == b"421"
    return [connection for connection, _ in made]


def test_workers_share_the_limits_and_a_killed_one_gives_back_what_it_held(tmp_path: Path) -> None:
    limits = {"workers": 2, "max_connections_per_client": LIMIT}
    with RunningGateway(tmp_path, settings={"smtp": limits}) as gateway:
        gateway.start()
        workers = wait_until(lambda: two_workers(gateway, set()), "two workers")
        held = as_many_as_there_may_be(gateway)
        with gateway.session("127.0.0.10") as other:
            assert other.noop()[0] == 250
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: two_workers(gateway, workers), "two new workers")
        again = as_many_as_there_may_be(gateway)
        for connection in (*held, *again):
            connection.close()
        wait_until(lambda: greeted(gateway), "one may come when others have left")
        assert gateway.stop() == 0


def two_workers(gateway: RunningGateway, gone: set[int]) -> set[int]:
    """Their pids when two serve that are not `gone`, else none."""
    assert gateway.process
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    serving = {int(pid) for pid in children} - gone
    return serving if len(serving) == 2 else set()


def greeted(gateway: RunningGateway) -> bool:
    try:
        with gateway.session(CLIENT):
            return True
    except smtplib.SMTPServerDisconnected:
        return False


def test_a_client_over_its_rate_is_asked_to_come_again_by_every_worker(tmp_path: Path) -> None:
    with RunningGateway(tmp_path, settings={"smtp": {"workers": 2, "rate_per_client": "3/d"}}) as gateway:
        gateway.start()
        codes = []
        for _ in range(6):
            with gateway.session(CLIENT) as client:
                codes.append(client.mail("anna@customer.test")[0])
        assert codes == [250] * 3 + [451] * 3
        assert gateway.stop() == 0
