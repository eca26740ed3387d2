"""A process that shares a client table, told by lines what to do: `python -m tests.unit.smtp.table_member FILE SLOT LIMITS`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from gateway.smtp import client_table
from gateway.smtp.client_table import ClientTable, SharedClientTable
from gateway.smtp.clients import Clients

LIMITS = {"max_connections": 1000, "max_connections_per_client": 1000}


def main(file: str, slot: str, limits: str) -> None:
    # who waits in vain lets everybody in: a busy machine may keep the holder of the lock from its work for long
    client_table.PATIENCE_SECONDS = 30.0  # type: ignore[misc]
    table = ClientTable.handed(int(file), int(slot))
    clients = Clients(table, **json.loads(limits))
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "grasp":
            table.lock.__enter__()
            answer: Any = table.lock.held
        elif command == "let-go":
            answer = table.lock.__exit__(None, None, None)
        elif command == "storm":
            storm(clients)
        elif command == "often":
            times, name, *rest = arguments
            answer = sum(getattr(clients, name)(*rest) for _ in range(int(times)))
        else:
            answer = getattr(clients, command)(*arguments)
        print(json.dumps(answer), flush=True)


def storm(clients: Clients) -> None:
    """Connections without an end, until a kill."""
    print(json.dumps("begun"), flush=True)
    for n in count():
        clients.enter(f"192.0.2.{n % 7}")
        clients.enter(f"2001:db8:{n >> 16 & 0xFFFF:x}:{n & 0xFFFF:x}::1")
        clients.leave(f"192.0.2.{n % 7}")


class Member:
    """The process, seen from the test."""

    def __init__(self, table: SharedClientTable, slot: int, **limits: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.smtp.table_member", str(table.file), str(slot), json.dumps(LIMITS | limits)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[table.file],
            cwd=Path(__file__).resolve().parents[3],
        )  # fmt: skip

    def begin(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def does(self, command: str) -> Any:
        self.begin(command)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def members(table: SharedClientTable, slots: int, **limits: Any) -> Iterator[list[Member]]:
    """One for each slot; whatever is left of them is killed at the end."""
    made = [Member(table, slot, **limits) for slot in range(slots)]
    try:
        yield made
    finally:
        for member in made:
            member.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
