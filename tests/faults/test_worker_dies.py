"""Only the worker is killed: the supervisor keeps the sockets and starts another."""

from __future__ import annotations

import errno
import os
import random
import smtplib
import socket
import threading

from tests.faults.clients import Clients, unique_messages
from tests.faults.comparison import Result, compare
from tests.faults.relay import Relay
from tests.servers.gateway import Fault, Reply, RunningGateway, dotted, mail, start_data, wait_until


def test_a_worker_killed_again_and_again_loses_nothing_and_refuses_no_connection(
    gateway: RunningGateway, relay: Relay
) -> None:
    gateway.start()
    sent = unique_messages(200, seed=3)
    clients = Clients(gateway, sent, deadline_in=900)
    watch = ConnectionWatch(gateway.smtp_port)
    clients.start()
    watch.start()
    chance = random.Random(3)
    for until in (40, 90, 140):
        clients.wait_answered(until + chance.randrange(20))
        killed = gateway.kill_worker()
        wait_until(lambda killed=killed: gateway.worker_pid() != killed, "another worker")
    clients.join()
    watch.stop()
    wait_until(lambda: not gateway.outbox(state="pending"), "all notifications are settled")
    result = Result(len(sent), worker_kills=3)
    compare(gateway, relay, sent, result)
    assert result.problems == []
    assert result.tickets + result.parked == result.stored == 200
    assert watch.connections > 20
    assert watch.refused == 0
    assert gateway.stop() == 0


class ConnectionWatch:
    """Connects without a pause, and counts what was refused."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self.connections = self.refused = 0
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            with socket.socket() as client:
                self.connections += 1
                client.settimeout(5)  # a full backlog answers nobody, which is no refusal
                if client.connect_ex(("127.0.0.1", self._port)) == errno.ECONNREFUSED:
                    self.refused += 1


def _send_until_answered(gateway: RunningGateway, content: bytes) -> tuple[Reply, int]:
    """The reply, and how many sessions broke before it came."""
    for broken in range(10):
        try:
            return gateway.send(content), broken
        except (OSError, smtplib.SMTPException):
            continue
    raise AssertionError("ten sessions broke")


def test_content_that_ended_two_workers_is_parked_unread_and_other_mail_goes_on(gateway: RunningGateway) -> None:
    gateway.start(Fault("parse", "kill-worker", marker="POISON", times=0))
    poison = mail("poison", text="POISON")
    reply, broken = _send_until_answered(gateway, poison)
    assert (reply.code, broken) == (250, 2)
    [parked] = gateway.messages(disposition="parked")
    assert parked["reason"] == "ended-processes"
    assert gateway.raw("acme", parked["id"]) == poison
    assert gateway.send(mail("next")).code == 250
    assert gateway.send(poison).trace == reply.trace
    assert [t["subject"] for t in gateway.tickets()] == ["Question next"]
    assert gateway.audit().problems == []


def test_a_killed_group_accuses_no_message(gateway: RunningGateway) -> None:
    """The marks of what was in hand accuse only when a worker died by itself: a power cut is no message's fault."""
    innocent = mail("innocent")
    for _ in range(2):
        gateway.start(Fault("decide", "kill-group"))
        try:
            gateway.send(innocent)
        except (OSError, smtplib.SMTPException):
            gateway.wait_dead()
    gateway.start()
    assert gateway.send(innocent).code == 250
    assert [m["disposition"] for m in gateway.messages()] == ["ticketed"]


def test_an_orphaned_worker_ends_by_itself(gateway: RunningGateway) -> None:
    """The supervisor alone is killed: its worker finishes what has begun and goes, so that another may start."""
    gateway.start()
    with gateway.session() as client:
        start_data(client)
        worker = gateway.worker_pid()
        assert gateway.process
        os.kill(gateway.process.pid, 9)
        gateway.process.wait(60)
        client.send(dotted(mail("last")))
        assert client.getreply()[0] == 250
    wait_until(lambda: not _is_alive(worker), "the worker has ended")
    gateway.wait_dead()
    gateway.start()
    assert len(gateway.tickets()) == 1
    assert gateway.audit().problems == []


def _is_alive(pid: int) -> bool:
    """A zombie that nobody has waited for is dead."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - one line of the kernel's
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
