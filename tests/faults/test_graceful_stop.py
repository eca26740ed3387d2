"""SIGTERM: begun transactions get their final reply, idle sessions a 421, and it ends with exit 0. A second one is refused."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers.gateway import Fault, Reply, RunningGateway, dotted, last_reply, mail, start_data, wait_until

NOT_SILENT = {"stopping_seconds": 60.0}
"""Five in production: on a busy machine a client that only waits for its turn may be taken for a silent one."""


@dataclass
class Sender:
    """Sends one message after the other in new sessions until nobody listens any more."""

    gateway: RunningGateway
    name: str
    kept: dict[bytes, Reply] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    turned_away: int = 0

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self.ended = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        n = 0
        while not self.ended.is_set():
            n += 1
            content = mail(f"{self.name}-{n}", text="\r\n".join(["x" * 70] * (1 if n % 3 else 2000)))
            try:
                self._one(content)
            except ConnectionRefusedError:
                return
            except (OSError, smtplib.SMTPException):
                self.turned_away += 1

    def _one(self, content: bytes) -> None:
        with self.gateway.session(timeout=60) as client:
            start_data(client)
            # from here on a reply is owed
            try:
                client.send(dotted(content))
                reply = last_reply(client)
            except (OSError, smtplib.SMTPException) as error:
                self.unanswered.append(f"{self.name}: {error!r}")
                return
            if reply.code == 250:
                self.kept[content] = reply


def _stored(gateway: RunningGateway) -> dict[bytes | None, str]:
    return {gateway.raw("acme", m["id"]): m["trace"] for m in gateway.messages()}


def test_twenty_sending_clients_each_get_their_final_reply(gateway: RunningGateway) -> None:
    gateway.start()
    senders = [Sender(gateway, f"s{i}") for i in range(20)]
    for sender in senders:
        sender.start()
    wait_until(lambda: sum(len(s.kept) for s in senders) > 60, "sixty messages are answered", 60)
    code = gateway.stop()
    for sender in senders:
        sender.join()
    assert code == 0
    assert [u for s in senders for u in s.unanswered] == []
    stored = _stored(gateway)
    answered = {content: reply.trace for s in senders for content, reply in s.kept.items()}
    assert answered.items() <= stored.items()
    assert len(gateway.messages()) == len(stored)
    assert gateway.audit().problems == []


def test_replacing_the_worker_under_load_refuses_nobody_and_loses_nothing(gateway: RunningGateway) -> None:
    gateway.start()
    senders = [Sender(gateway, f"s{i}") for i in range(10)]
    for sender in senders:
        sender.start()
    for _ in range(2):
        before, answered = gateway.worker_pid(), sum(len(s.kept) for s in senders)
        assert gateway.process
        os.kill(gateway.process.pid, signal.SIGHUP)
        wait_until(lambda b=before: gateway.worker_pid() != b, "another worker")
        wait_until(lambda a=answered: sum(len(s.kept) for s in senders) > a + 20, "it works", 60)
    for sender in senders:
        sender.ended.set()
    for sender in senders:
        sender.join()
    assert [u for s in senders for u in s.unanswered] == []
    assert {c for s in senders for c in s.kept} <= set(_stored(gateway))
    assert gateway.stop() == 0


def test_a_client_that_never_ends_its_message_holds_the_stop_up_no_longer_than_the_grace(tmp_path: Path) -> None:
    """It is cut, and comes again: that is `shutdown_grace_seconds`, a stop in good order, and nobody died."""
    with RunningGateway(tmp_path, settings={"shutdown_grace_seconds": 1}) as gateway:
        gateway.start()
        with gateway.session() as stuck:
            start_data(stuck)
            stuck.send(b"Subject: ")
            began = time.monotonic()
            assert gateway.stop(25) == 0
            # it would be killed ten seconds behind the grace
            assert 1 < time.monotonic() - began < 9
        assert "grace ran out" in gateway.log.read_text()
        assert "died" not in gateway.log.read_text()
        assert gateway.messages() == []


def test_a_client_silent_in_its_message_does_not_hold_a_reload_up_for_the_grace(gateway: RunningGateway) -> None:
    """With one worker everybody who comes waits in the backlog until it has ended."""
    gateway.start()
    before = gateway.worker_pid()
    with gateway.session() as stuck:
        start_data(stuck)
        stuck.send(b"Subject: ")
        assert gateway.process
        os.kill(gateway.process.pid, signal.SIGHUP)
        wait_until(lambda: gateway.worker_pid() != before, "another worker, before the grace is over")
        assert last_reply(stuck).text.startswith("4.3.2 shutting down")
    with gateway.session() as newcomer:
        start_data(newcomer)
    assert "grace ran out" not in gateway.log.read_text()


def test_an_idle_session_is_told_421_and_a_begun_transaction_is_finished(gateway: RunningGateway) -> None:
    gateway.start(tune=NOT_SILENT)
    content = mail("begun")
    with gateway.session() as idle, gateway.session() as begun:
        start_data(begun)
        begun.send(content[:40])
        gateway.terminate()
        assert last_reply(idle).text.startswith("4.3.2 shutting down")
        begun.send(content[40:] + b".\r\n")
        final = last_reply(begun)
        assert final.code == 250
        assert last_reply(begun).code == 421
    assert gateway.wait_dead() == 0
    assert _stored(gateway) == {content: final.trace}


@pytest.mark.parametrize("stage", ["verify", "before-commit"])
def test_a_message_in_the_middle_of_the_line_is_finished(gateway: RunningGateway, stage: str) -> None:
    gateway.start(Fault(stage, "hold"))
    with gateway.session() as client:
        start_data(client)
        client.send(dotted(mail("held")))
        wait_until(lambda: gateway.held(stage), "it is held")
        gateway.terminate()
        wait_until(lambda: not _accepts(gateway), "nobody accepts any more")
        gateway.let_go(stage)
        assert last_reply(client).code == 250
    assert gateway.wait_dead() == 0
    assert len(gateway.tickets()) == 1


def _accepts(gateway: RunningGateway) -> bool:
    """A greeting comes: the worker takes connections. The supervisor's own socket would only queue them."""
    try:
        with socket.create_connection(("127.0.0.1", gateway.smtp_port), 0.3) as client:
            client.settimeout(0.3)
            return client.recv(3) == b"220"
    except OSError:
        return False


@pytest.mark.parametrize("moment", ["at once", "worker started"])
def test_a_stop_while_it_starts_is_a_stop(gateway: RunningGateway, moment: str) -> None:
    gateway.begin()
    if moment == "worker started":
        gateway.worker_pid()
    else:
        wait_until((gateway.settings.data_dir / "serve-smtp.lock").exists, "it takes its locks")
    began = time.monotonic()
    code = gateway.stop(30)
    assert time.monotonic() - began < 10
    # before it has its signal handlers, SIGTERM ends it as it ends any process
    assert code in ((0,) if moment == "worker started" else (0, -signal.SIGTERM))
    gateway.start()
    assert gateway.send(mail("after")).code == 250


def test_a_second_serve_on_the_same_data_is_refused_and_names_the_first(gateway: RunningGateway) -> None:
    gateway.start()
    assert gateway.process
    second = subprocess.run(gateway.command("serve"), capture_output=True, cwd=gateway.folder, timeout=120, check=False)
    assert second.returncode == 1
    assert f"process {gateway.process.pid}" in second.stderr.decode()
    assert "Traceback" not in second.stderr.decode()
    assert gateway.send(mail("still here")).code == 250
    gateway.kill_group()
    gateway.start()
    assert gateway.send(mail("the dead hold no lock")).code == 250


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has mapped is read from /proc")
def test_the_supervisor_has_nothing_of_the_command_that_started_it_in_its_memory(gateway: RunningGateway) -> None:
    """A hundred megabytes of libraries that it has no use for."""
    gateway.start()
    assert gateway.process
    maps = Path(f"/proc/{gateway.process.pid}/maps").read_text()
    assert "libpython" in maps or "python" in maps
    assert not [library for library in ("pydantic_core", "sqlite3", "cryptography") if library in maps]
    assert gateway.send(mail("after")).code == 250
    assert gateway.stop() == 0
