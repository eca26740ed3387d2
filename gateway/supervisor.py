"""The parent process: owns the listening sockets and the role locks, starts the worker, starts it again when it dies.

Standard library only: it must not fail for reasons of ours. Workers inherit the sockets, so a worker that dies or is
replaced refuses no connection; they end by themselves when the pipe to the supervisor closes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from gateway.core.errors import InvalidInput
from gateway.smtp.client_table import SharedClientTable, octets_for
from gateway.store.begun import BegunMarks, forget_all
from gateway.store.folders import make_data_dir

ROLES = ("smtp", "outbox", "web", "pull", "jobs")
BACKLOG = 512
_MEMORY = Path("/dev/shm")  # noqa: S108  mkdtemp's names cannot be guessed
CANNOT_START = 2
"""The exit code of a worker that cannot start at all: configuration, schema, secret."""
_LONGEST_PAUSE_SECONDS = 10.0
_KILL_AFTER_GRACE_SECONDS = 10.0
_TICK_SECONDS = 0.05


@dataclass(slots=True)
class RoleLocks:
    """`<data_dir>/serve-<role>.lock`, one holder each; the kernel frees them at death."""

    data_dir: Path
    _files: list[int] = field(default_factory=list)

    def take(self, roles: Sequence[str]) -> None:
        """Raises InvalidInput naming the holder's pid."""
        make_data_dir(self.data_dir)
        for role in roles:
            path = self.data_dir / f"serve-{role}.lock"
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise InvalidInput(f"{path}: {error.strerror}; name a data_dir that this user may write to") from None
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
    """A listening socket for `host:port`, `[ipv6]:port`, `unix:PATH` or `lmtp:unix:PATH`. Raises InvalidInput naming the cure.

    The protocol is named: asyncio sets TCP_NODELAY only on sockets made with IPPROTO_TCP, and without it every message
    stalls 40 ms.
    """
    if address.startswith(("unix:", "lmtp:unix:")):
        return _listen_unix(Path(address.removeprefix("lmtp:").removeprefix("unix:")))
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


def _make_metrics_folder(link: Path) -> Path:
    """Where the workers' figures lie together: prometheus-client maps a file per process. In memory where there is such
    a place: its files have holes, and to write into a hole is a SIGBUS when the disk is full. `link` leads to the folder,
    so that the next start finds what a killed group left.
    """
    if link.is_symlink():
        left = link.readlink()
        if left.parent == _MEMORY:
            shutil.rmtree(left, ignore_errors=True)
        link.unlink()
    shutil.rmtree(link, ignore_errors=True)
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
        link.mkdir()
        return link
    folder = Path(tempfile.mkdtemp(prefix="gateway-metrics-", dir=_MEMORY))
    link.symlink_to(folder)
    return folder


@dataclass(frozen=True, slots=True)
class Plan:
    """One worker process to keep: its roles decide which sockets it inherits."""

    roles: tuple[str, ...]


def plans(roles: Sequence[str], smtp_workers: int, *, together: bool) -> list[Plan]:
    """The workers of a group. `together` (SQLite): the first carries every role, more carry SMTP only; else SMTP has
    processes of its own and one carries the rest.
    """
    others = tuple(r for r in roles if r != "smtp")
    smtp = [Plan(("smtp",))] * (smtp_workers if "smtp" in roles else 0)
    if together:
        return [Plan(tuple(roles)), *smtp[1:]]
    return [*smtp, *([Plan(others)] if others else [])]


@dataclass(slots=True)
class Slot:
    """A place for one worker: the process in it, or when the next one starts. `index` tells it from the others."""

    index: int
    plan: Plan
    process: subprocess.Popen[bytes] | None = None
    life: socket.socket | None = None
    began: float = 0.0
    pause: float = 0.0
    start_at: float = 0.0
    kill_at: float | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None


class Supervisor:
    """Keeps the workers; SIGTERM and SIGINT end them in good order, SIGHUP replaces them one by one."""

    def __init__(
        self,
        *,
        data_dir: Path,
        roles: Sequence[str],
        smtp: Sequence[str],
        http: Sequence[str],
        worker_command: Sequence[str],
        grace_seconds: float,
        smtp_workers: int = 1,
        together: bool = True,
    ) -> None:
        self._locks = RoleLocks(data_dir)
        self._data_dir = data_dir
        self._roles = tuple(roles)
        self._addresses = {"smtp": smtp if "smtp" in roles else (), "http": http if "web" in roles else ()}
        self._command = tuple(worker_command)
        self._grace = grace_seconds
        self._sockets: dict[str, list[socket.socket]] = {}
        self._bell = _bell()
        """Rung by a worker that committed mail to send, heard by the one with the outbox: polling alone takes a second."""
        self._slots = [Slot(n, p) for n, p in enumerate(plans(roles, smtp_workers, together=together))]
        self._clients: SharedClientTable
        """What all workers know of SMTP clients, made by `claim`: limits are those of the node, not of a process."""
        self._stopping = False
        self._replace: list[Slot] = []
        self._failed = False
        self._claimed = False
        self._metrics_folder = data_dir

    def claim(self) -> None:
        """Take the role locks and the addresses. Raises InvalidInput when a role is held or an address is taken."""
        self._locks.take(self._roles)
        forget_all(self._data_dir)
        self._metrics_folder = _make_metrics_folder(self._data_dir / "metrics")
        self._clients = _make_client_table(len(self._slots), self._data_dir)
        for kind, addresses in self._addresses.items():
            self._sockets[kind] = [listen(a) for a in addresses]
        self._claimed = True

    def run(self) -> int:
        """Until told to stop; the exit code. Claims what was not claimed before."""
        if not self._claimed:
            self.claim()
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_replace)
        while not self._stopping or any(s.alive for s in self._slots):
            self._tend()
            time.sleep(_TICK_SECONDS)
        for group in self._sockets.values():
            for listening in group:
                listening.close()
        self._clients.close()
        shutil.rmtree(self._metrics_folder, ignore_errors=True)
        return 1 if self._failed else 0

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for slot in self._slots:
            self._end(slot)

    def _on_replace(self, _number: int, _frame: FrameType | None) -> None:
        self._replace = list(self._slots)

    def _tend(self) -> None:
        """One look at every slot: bury the dead, start what is due, kill what outlives its grace."""
        for slot in self._slots:
            if slot.process and (code := slot.process.poll()) is not None:
                self._ended(slot, slot.process, code)
            elif slot.process and slot.kill_at and time.monotonic() > slot.kill_at:
                _say(f"worker {slot.process.pid} did not end within its grace; killing it")
                slot.process.kill()
            elif slot.alive and self._stopping and not slot.kill_at:
                self._end(slot)  # the signal came between its start and our knowing of it
            elif not slot.alive and not self._stopping and time.monotonic() >= slot.start_at:
                self._start(slot)
        self._go_on_replacing()

    def _go_on_replacing(self) -> None:
        """The next worker is asked to end when all others serve: the sockets stay open, so nobody is refused."""
        if self._replace and not self._stopping and all(s.alive and not s.kill_at for s in self._slots):
            self._end(self._replace.pop(0))

    def _end(self, slot: Slot) -> None:
        if slot.process and slot.process.poll() is None:
            slot.process.send_signal(signal.SIGTERM)
            slot.kill_at = slot.kill_at or time.monotonic() + self._grace + _KILL_AFTER_GRACE_SECONDS

    def _start(self, slot: Slot) -> None:
        ours, theirs = socket.socketpair()
        kinds = {"smtp": "smtp" in slot.plan.roles, "http": "web" in slot.plan.roles}
        handed = {kind: [s.fileno() for s in self._sockets.get(kind, [])] if has else [] for kind, has in kinds.items()}
        heard, rung = self._bell
        clients = self._clients.file
        argument = json.dumps(
            {"roles": slot.plan.roles, "group": self._roles, "life": theirs.fileno(), "bell": [heard, rung]}
            | {"clients": clients, "slot": slot.index, **handed}
        )
        slot.process = subprocess.Popen(
            [*self._command, argument],
            pass_fds=[theirs.fileno(), heard, rung, clients, *(n for numbers in handed.values() for n in numbers)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(self._metrics_folder)},
        )
        theirs.close()
        slot.life, slot.began, slot.kill_at = ours, time.monotonic(), None

    def _ended(self, slot: Slot, process: subprocess.Popen[bytes], code: int) -> None:
        asked = slot.kill_at is not None
        slot.process, slot.kill_at = None, None
        self._clients.worker_gone(slot.index)
        if slot.life:
            slot.life.close()
        for file in self._metrics_folder.glob(f"gauge_live*_{process.pid}.db"):
            file.unlink(missing_ok=True)
        if asked and code in (
            0,
            -signal.SIGTERM,
        ):  # one that SIGTERM itself ended had no handler yet: nothing had begun
            slot.start_at = slot.pause = 0.0
        elif code == CANNOT_START:
            # the worker said why; starting it again would not help
            self._failed = True
            self._on_stop(0, None)
        else:
            self._failed = self._failed or self._stopping
            self._bury(slot, process.pid, code)

    def _bury(self, slot: Slot, pid: int, code: int) -> None:
        """A worker died: what it had in hand becomes suspect, the world is told, another starts after a pause."""
        suspects = BegunMarks(self._data_dir, pid).count_death()
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        _say(f"worker {pid} ({', '.join(slot.plan.roles)}) died ({how}) with {suspects} messages in hand")
        served = time.monotonic() - slot.began
        slot.pause = 0.1 if served > 30 else min(max(slot.pause, 0.05) * 2, _LONGEST_PAUSE_SECONDS)
        slot.start_at = time.monotonic() + slot.pause


def _make_client_table(slots: int, folder: Path) -> SharedClientTable:
    try:
        return SharedClientTable(slots, folder)
    except OSError as error:
        raise InvalidInput(
            f"no room for the table of clients ({octets_for(slots)} octets of memory, or in {folder}): {error.strerror}"
        ) from None


def _bell() -> tuple[int, int]:
    heard, rung = os.pipe()
    os.set_blocking(heard, False)
    os.set_blocking(rung, False)
    return heard, rung


def _say(text: str) -> None:
    sys.stderr.write(f"gateway supervisor: {text}\n")
    sys.stderr.flush()
