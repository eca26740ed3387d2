"""The parent process: owns the listening sockets and the role locks, starts the worker, starts it again when it dies.

Standard library only: it must not fail for reasons of ours. Workers inherit the sockets, so a worker that dies or is
replaced refuses no connection; they end by themselves when the pipe to the supervisor closes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from gateway.core.errors import InvalidInput
from gateway.store.begun import BegunMarks, forget_all

ROLES = ("smtp", "outbox", "web", "pull", "jobs")
BACKLOG = 512
_LONGEST_PAUSE_SECONDS = 10.0


@dataclass(slots=True)
class RoleLocks:
    """`<data_dir>/serve-<role>.lock`, one holder each; the kernel frees them at death."""

    data_dir: Path
    _files: list[int] = field(default_factory=list)

    def take(self, roles: Sequence[str]) -> None:
        """Raises InvalidInput naming the holder's pid."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        for role in roles:
            path = self.data_dir / f"serve-{role}.lock"
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(file)
                raise InvalidInput(
                    f"`serve` with role {role} runs already on {self.data_dir} (process {holder}); "
                    f"stop it first, or give this one a data_dir of its own"
                ) from None
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
            self._files.append(file)

    def release(self) -> None:
        for file in self._files:
            os.close(file)
        self._files = []


def listen(address: str) -> socket.socket:
    """A listening socket for `host:port`, `[ipv6]:port` or `unix:PATH`. Raises InvalidInput naming the cure.

    The protocol is named: asyncio sets TCP_NODELAY only on sockets made with IPPROTO_TCP, and without it every message
    stalls 40 ms.
    """
    if address.startswith("unix:"):
        return _listen_unix(Path(address.removeprefix("unix:")))
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(found[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found[0] == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(found[4])
        listening.listen(BACKLOG)
    except OSError as error:
        raise InvalidInput(_cannot_listen(address, error)) from None
    return listening


def _cannot_listen(address: str, error: OSError) -> str:
    port = address.rpartition(":")[2]
    if isinstance(error, PermissionError):
        cure = f"ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities) or root; port {port} is one"
    elif "in use" in str(error):
        cure = f"another program listens there; find it with `ss -ltnp 'sport = :{port}'`, or choose another port"
    else:
        cure = "name an address of this machine"
    return f"cannot listen on {address}: {error.strerror or error}; {cure}"


def _listen_unix(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if path.is_socket():
                path.unlink()
        listening.bind(str(path))
        listening.listen(BACKLOG)
    except OSError as error:
        raise InvalidInput(f"cannot listen on unix:{path}: {error.strerror or error}") from None
    return listening


class Supervisor:
    """Runs one worker with all roles; SIGTERM and SIGINT end it in good order, SIGHUP replaces it."""

    def __init__(
        self,
        *,
        data_dir: Path,
        roles: Sequence[str],
        smtp: Sequence[str],
        http: Sequence[str],
        worker_command: Sequence[str],
        grace_seconds: float,
    ) -> None:
        self._locks = RoleLocks(data_dir)
        self._data_dir = data_dir
        self._roles = tuple(roles)
        self._addresses = {"smtp": smtp if "smtp" in roles else (), "http": http if "web" in roles else ()}
        self._command = tuple(worker_command)
        self._grace = grace_seconds
        self._sockets: dict[str, list[socket.socket]] = {}
        self._worker: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._replacing = False

    def claim(self) -> None:
        """Take the role locks and the addresses. Raises InvalidInput when a role is held or an address is taken."""
        self._locks.take(self._roles)
        forget_all(self._data_dir)
        for kind, addresses in self._addresses.items():
            self._sockets[kind] = [listen(a) for a in addresses]

    def run(self) -> int:
        """Until told to stop; the exit code. Claims what was not claimed before."""
        if not self._sockets:
            self.claim()
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_replace)
        code = self._keep_running()
        for group in self._sockets.values():
            for listening in group:
                listening.close()
        return code

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._signal_worker()

    def _on_replace(self, _number: int, _frame: FrameType | None) -> None:
        self._replacing = True
        self._signal_worker()

    def _signal_worker(self) -> None:
        if self._worker and self._worker.poll() is None:
            self._worker.send_signal(signal.SIGTERM)

    def _keep_running(self) -> int:
        pause = 0.1
        while True:
            began = time.monotonic()
            life, code = self._start(), 0
            if self._worker:
                code = self._wait(self._worker)
            life.close()
            if self._stopping:
                return 0 if code == 0 else 1
            if self._replacing and code == 0:
                self._replacing = False
                continue
            if code == 2:
                return 1  # the worker said why it cannot start; starting it again would not help
            self._bury(code)
            pause = 0.1 if time.monotonic() - began > 30 else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._sleep(pause)
            if self._stopping:
                return 1

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        every = [s for group in self._sockets.values() for s in group]
        handed = {kind: [s.fileno() for s in group] for kind, group in self._sockets.items()}
        argument = json.dumps({"roles": self._roles, "life": theirs.fileno(), **handed})
        self._worker = subprocess.Popen(
            [*self._command, argument], pass_fds=[theirs.fileno(), *(s.fileno() for s in every)]
        )
        theirs.close()
        return ours

    def _wait(self, worker: subprocess.Popen[bytes]) -> int:
        """The worker's exit code; a worker that outlives its grace is killed."""
        deadline: float | None = None
        while True:
            try:
                return worker.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                if not (self._stopping or self._replacing):
                    continue
            deadline = deadline or time.monotonic() + self._grace + 10
            if time.monotonic() > deadline:
                _say(f"worker {worker.pid} did not end within its grace; killing it")
                worker.kill()

    def _bury(self, code: int) -> None:
        """A worker died: what it had in hand becomes suspect, and the world is told."""
        if self._worker:
            suspects = BegunMarks(self._data_dir, self._worker.pid).count_death()
            how = f"signal {-code}" if code < 0 else f"exit {code}"
            _say(f"worker {self._worker.pid} died ({how}) with {suspects} messages in hand; starting another")

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < end:
            time.sleep(0.05)


def _say(text: str) -> None:
    sys.stderr.write(f"gateway supervisor: {text}\n")
    sys.stderr.flush()
