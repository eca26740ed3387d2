"""Two `serve` on one data directory: with different roles neither takes anything from the other, and one that follows a
killed one has its addresses.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import smtplib
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.faults.relay import HANG, TAKE, Relay
from tests.servers.gateway import RunningGateway, last_reply, mail, start_data, wait_until


@contextlib.contextmanager
def serving(gateway: RunningGateway, roles: str) -> Iterator[subprocess.Popen[bytes]]:
    with gateway.log.open("ab") as log:
        command = gateway.command("serve", "--role", roles)
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=gateway.folder, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def greets(gateway: RunningGateway) -> bool:
    with contextlib.suppress(OSError), gateway.session(timeout=30):
        return True
    return False


def accepted(gateway: RunningGateway) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = re.findall(r'^gateway_transactions_total\{outcome="accepted".*\} (.*)$', text, re.MULTILINE)
    return sum(map(float, found))


def test_a_worker_of_the_first_comes_again_and_the_second_shows_what_it_counts(gateway: RunningGateway) -> None:
    """The second removed the folder of figures; from then on no worker of the first could start."""
    with serving(gateway, "smtp,outbox,jobs") as first:
        wait_until(lambda: greets(gateway), "SMTP is served", 120)
        assert gateway.send(mail("before")).code == 250
        with serving(gateway, "web"):
            wait_until(lambda: gateway.answers("/healthz"), "HTTP is served", 120)
            [killed] = children(first.pid)
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: (now := children(first.pid)) and now != [killed], "another worker")
            assert gateway.send(mail("after")).code == 250
            assert accepted(gateway) == 2


def test_the_next_serve_has_the_addresses_though_a_client_still_sends_to_an_orphan(gateway: RunningGateway) -> None:
    """The orphan finished the message first, and kept the address of HTTP for as long."""
    content = mail("to the orphan")
    every = "smtp,outbox,web,jobs"
    with serving(gateway, every) as first:
        wait_until(lambda: gateway.answers("/healthz"), "HTTP is served", 120)
        [orphan] = children(first.pid)
        with gateway.session() as sending:
            start_data(sending)
            sending.send(content[:40])
            first.kill()
            first.wait(60)
            wait_until(lambda: _goes_on(sending) and not gateway.answers("/healthz"), "the orphan has left HTTP")
            with serving(gateway, every) as second:
                wait_until(lambda: _goes_on(sending) and gateway.answers("/healthz"), "the next one serves", 120)
                assert children(second.pid) != [orphan]
                assert gateway.send(mail("to the next")).code == 250
                sending.send(b"\r\n.\r\n")
                assert last_reply(sending).code == 250
                assert len(gateway.messages()) == 2


def _goes_on(sending: smtplib.SMTP) -> bool:
    """Whoever is silent while we stop is not waited for, nor who is too slow."""
    sending.send((b"x" * 78 + b"\r\n") * 250)
    return True


def test_what_an_orphan_was_still_sending_was_sent_by_the_next_group_too(gateway: RunningGateway, relay: Relay) -> None:
    """What its predecessor held was a dead one's, it thought."""
    slow = "anna@customer.test"
    relay.answer = lambda recipient: HANG if recipient == slow else TAKE
    every = "smtp,outbox,web,jobs"
    with serving(gateway, every) as first:
        wait_until(lambda: gateway.answers("/healthz"), "HTTP is served", 120)
        [orphan] = children(first.pid)
        with gateway.session() as sending:
            assert gateway.send(mail("slow", author=slow)).code == 250
            wait_until(lambda: relay.to(slow), "the notification is on its way")
            start_data(sending)
            first.kill()
            first.wait(10)
            wait_until(lambda: _goes_on(sending) and not gateway.answers("/healthz"), "the orphan has left HTTP")
            with serving(gateway, every):
                wait_until(lambda: _goes_on(sending) and gateway.answers("/healthz"), "the next one serves", 120)
                assert gateway.send(mail("quick", author="bob@customer.test")).code == 250
                wait_until(lambda: _goes_on(sending) and relay.to("bob@customer.test"), "the next one sends")
                assert len(relay.to(slow)) == 1
                relay.answer = lambda _: TAKE
                os.kill(orphan, signal.SIGKILL)
                wait_until(lambda: len(relay.to(slow)) == 2, "behind the orphan's end it is sent again", 60)
