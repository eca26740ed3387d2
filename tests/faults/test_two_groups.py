"""Two `serve` with different roles on one data directory: neither takes anything from the other."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.servers.gateway import RunningGateway, mail, wait_until


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
        process.wait(10)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def greets(gateway: RunningGateway) -> bool:
    with contextlib.suppress(OSError), gateway.session(timeout=5):
        return True
    return False


def accepted(gateway: RunningGateway) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'^gateway_transactions_total\{outcome="accepted".*\} (.*)$', text, re.MULTILINE)
    return sum(map(float, found))


def test_a_worker_of_the_first_comes_again_and_the_second_shows_what_it_counts(gateway: RunningGateway) -> None:
    """The second removed the folder of figures; from then on no worker of the first could start."""
    with serving(gateway, "smtp,outbox,jobs") as first:
        wait_until(lambda: greets(gateway), "SMTP is served", 30)
        assert gateway.send(mail("before")).code == 250
        with serving(gateway, "web"):
            wait_until(lambda: gateway.answers("/healthz"), "HTTP is served", 30)
            [killed] = children(first.pid)
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: (now := children(first.pid)) and now != [killed], "another worker", 10)
            assert gateway.send(mail("after")).code == 250
            assert accepted(gateway) == 2
