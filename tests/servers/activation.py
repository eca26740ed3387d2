"""What systemd does for a socket unit: it holds the sockets and hands them to each `serve` that it starts."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

from tests.servers.gateway import RunningGateway

LAUNCH = """
import os, sys
names, *rest = sys.argv[1:]
at = rest.index("--")
for n, file in enumerate(map(int, rest[:at])):
    os.dup2(file, 3 + n)
count = len(rest[:at])
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names}
os.execv(rest[at + 1], rest[at + 1 :])
"""
"""What systemd does: the sockets from 3 on, the variables, and then the program in the same process."""


@contextlib.contextmanager
def handed(gateway: RunningGateway, *ports: int, names: str = "gateway.socket") -> Iterator[list[str]]:
    """The command of a `serve` that is started with sockets for these ports; they stay open meanwhile, as systemd's do."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in ports]
        for sock, port in zip(sockets, ports, strict=True):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            sock.listen()
            # out of the way of 3 and 4, then for the launcher to inherit
            os.set_inheritable(sock.fileno(), True)
        high = [os.dup(s.fileno()) for s in sockets]
        stack.callback(lambda: [os.close(n) for n in high])
        files = [str(n) for n in high]
        for n in high:
            os.set_inheritable(n, True)
        joined = ":".join([names] * len(ports))
        yield [sys.executable, "-c", LAUNCH, joined, *files, "--", *gateway.command("serve")]


def start(gateway: RunningGateway, command: list[str]) -> None:
    with gateway.log.open("ab") as log:
        gateway.process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=gateway.folder, start_new_session=True, close_fds=False
        )
