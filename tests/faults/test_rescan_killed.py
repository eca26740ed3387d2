"""The end of the process in the middle of a rescan: by a kill it is done again, by SIGTERM it ends in time."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.store.tables import JobRow
from gateway.store.tables.columns import columns
from tests.scenarios.test_rescan import LATE, with_files
from tests.servers.fake_clamd import FakeClamd, question
from tests.servers.gateway import RunningGateway, wait_until

_j = columns(JobRow)


class Growing:
    """A clamd whose signatures are of version `version`; from the second on they know LATE. `stall` is set: it takes one
    file more and answers it no more.
    """

    def __init__(self) -> None:
        self.version = 1
        self.left: int | None = None
        self.stalled = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        sock.sendall(self._answer(*question(sock)) + b"\0")

    def _answer(self, command: bytes, content: bytes) -> bytes:
        if command == b"zVERSION\0":
            return b"ClamAV 1.4.3/%d/Sat Nov 21 09:24:11 2026" % self.version
        if command == b"zPING\0":
            return b"PONG"
        if self.left == 0:
            self.stalled.set()
            self.go_on.wait(180)
        self.left = None if self.left is None else self.left - 1
        return b"stream: Late.Virus FOUND" if self.version > 1 and LATE in content else b"stream: OK"


def job(gateway: RunningGateway) -> Any:
    with gateway.store.read() as connection:
        return connection.execute(select(*_j).where(_j.name == "rescan")).first()


def make_due(gateway: RunningGateway) -> None:
    with gateway.store.write() as connection:
        at = datetime(2020, 1, 1, tzinfo=UTC)
        connection.execute(update(JobRow).where(_j.name == "rescan").values(due_at=at))


def infected(gateway: RunningGateway) -> int:
    return sum(1 for m in gateway.messages() if m["scan"]["status"] == "infected")


def told(gateway: RunningGateway) -> int:
    return sum(1 for row in gateway.outbox() if row["kind"] == "file-infected")


def is_done(gateway: RunningGateway, version: int) -> bool:
    row = job(gateway)
    return bool(row and row.state.get("done") and f"/{version}/" in row.state["version"])


@pytest.mark.parametrize("end", ["kill", "term"])
def test_a_rescan_that_was_ended_is_done_again_and_nobody_is_told_twice(tmp_path: Path, end: str) -> None:
    scanner = Growing()
    clamd = FakeClamd(scanner, at_once=True)
    with clamd, RunningGateway(tmp_path, settings={"clamav": {"address": clamd.address}}) as gateway:
        gateway.add_agent("acme", "ann@acme.test")
        gateway.start()
        wait_until(lambda: is_done(gateway, 1), "the first signatures' run")
        for n in range(4):
            assert gateway.send(with_files(n, LATE + b" %d" % n)).code == 250
        scanner.version, scanner.left = 2, 2
        make_due(gateway)
        assert scanner.stalled.wait(60)
        assert infected(gateway) == 2

        if end == "kill":
            gateway.kill_group()
        else:
            assert gateway.stop(12) == 0
            assert job(gateway).holder is None
        assert not is_done(gateway, 2)
        scanner.left = None
        scanner.go_on.set()
        gateway.start()

        wait_until(lambda: is_done(gateway, 2), "the rescan that was ended is done")
        assert (infected(gateway), told(gateway)) == (4, 4)
        assert gateway.audit().problems == []


def test_the_command_says_what_it_found_and_why_it_cannot(tmp_path: Path) -> None:
    scanner = Growing()
    clamd = FakeClamd(scanner, at_once=True)
    with RunningGateway(tmp_path, settings={"clamav": {"address": clamd.address}}) as gateway:
        with clamd:
            gateway.add_agent("acme", "ann@acme.test")
            gateway.start()
            assert gateway.send(with_files(1, LATE)).code == 250
            assert gateway.stop() == 0
            assert rescan(gateway) == (0, "", "1 files of 1 messages were scanned.\n")
            scanner.version = 2
            code, out, _ = rescan(gateway, "--since", "1d", "--json", "--account", "acme")
            (found,) = json.loads(out)
            assert (code, found["ticket"], found["file"], found["virus"]) == (0, 1, "1.pdf", "Late.Virus")
            assert found["told"] == ["ann@acme.test"]
            assert json.loads(rescan(gateway, "--json")[1]) == []
        code, out, err = rescan(gateway)
    assert (code, out) == (1, "")
    assert "clamav does not answer; `gateway doctor` says why" in err


def rescan(gateway: RunningGateway, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(gateway.command("rescan", *arguments), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr
