"""The group: one supervisor and the workers it keeps.

Workers inherit the listening sockets, so a worker that dies or is replaced refuses no connection; they end by themselves
when their socket pair to the supervisor closes. Signals only leave word; one loop does everything.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn, Self

from gateway.core.errors import InvalidInput
from gateway.smtp.client_table import SharedClientTable, octets_for
from gateway.store.begun import forget_all
from gateway.supervisor.deaths import Deaths
from gateway.supervisor.figures import FiguresFolder
from gateway.supervisor.guard import Guard
from gateway.supervisor.listeners import open_listeners
from gateway.supervisor.locks import RoleLocks
from gateway.supervisor.reload import Reload
from gateway.supervisor.slots import CANNOT_START, Slot, how, plans
from gateway.supervisor.systemd import ServiceManager
from gateway.supervisor.unnamed import content_of, unnamed_file

_BUSY_SECONDS = 0.05
_QUIET_SECONDS = 0.5
_STOPPED_SECONDS = 5.0
"""A round that late means that we stood still ourselves (SIGSTOP, a paused machine): then nobody's silence counts."""
_STATUS_SECONDS = 1.0
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
"""glibc's malloc gives large blocks back to the system when they are freed, but raises what it calls large with each: after
the first message of 10 MB a worker kept for good what a few of them had needed at once. Other systems ignore it.
"""


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
        configuration: bytes,
        smtp_workers: int = 1,
        together: bool = True,
        check_command: Sequence[str] = (),
        manager: ServiceManager | None = None,
    ) -> None:
        """`configuration`: the settings as JSON, which every worker gets. `check_command` prints a new one after SIGHUP
        (`check-config --for-serve`); without it the old one stays.
        """
        self._arguments = {
            "data_dir": str(data_dir), "roles": tuple(roles), "smtp": tuple(smtp), "http": tuple(http),
            "worker_command": tuple(worker_command), "configuration": configuration.decode(),
            "smtp_workers": smtp_workers, "together": together, "check_command": tuple(check_command),
        }  # fmt: skip
        self._locks = RoleLocks(data_dir)
        self._data_dir = data_dir
        self._roles = tuple(roles)
        self._addresses = {"smtp": smtp if "smtp" in roles else (), "http": http if "web" in roles else ()}
        self._command = tuple(worker_command)
        self._manager = manager or ServiceManager({})
        self._reload = Reload(configuration, check_command, data_dir, say, self._follow)
        self._sockets: dict[str, list[socket.socket]] = {}
        self._bell = _bell()
        """Rung by a worker that committed mail to send, heard by the one with the outbox: polling alone takes a second."""
        self._last_good: dict[str, int] = {}
        """For the workers: what they read last, see `gateway.last_good`."""
        self._slots = [Slot(n, p) for n, p in enumerate(plans(roles, smtp_workers, together=together))]
        self._clients: SharedClientTable
        """What all workers know of SMTP clients, made by `claim`: limits are those of the node, not of a process."""
        self._figures = FiguresFolder(data_dir, roles)
        self._deaths = Deaths(data_dir, say)
        self._guard = Guard(say)
        self._stopping = self._failed = self._claimed = self._told_ready = self._served = False
        self._turned = self._told_alive = self._told_status = 0.0
        self._last_status = ""
        self._told_reloads, self._told_reloading = 0, False
        self._woken, self._wake = socket.socketpair()

    def claim(self) -> None:
        """Take the role locks and the addresses. Raises InvalidInput when a role is held or an address is taken."""
        self._locks.take(self._roles)
        forget_all(self._data_dir)
        try:
            self._locks.files.append(self._figures.claim())
        except OSError as error:
            say(f"{error.filename or self._figures.path}: {error.strerror}; there may be no figures of all workers")
        self._clients = _make_client_table(len(self._slots), self._data_dir)
        self._sockets = open_listeners(self._addresses, self._manager.handed)
        self._claimed = True

    def hand_over(self) -> NoReturn:
        """Go on as `python -m gateway.supervisor`, the same process with nothing of the command in its memory: that is
        a hundred megabytes of libraries which a supervisor has no use for. What was claimed goes along.
        """
        sockets = {kind: [s.fileno() for s in group] for kind, group in self._sockets.items()}
        state = self._arguments | {
            "locks": self._locks.files, "clients": self._clients.file, "sockets": sockets,
            "manager": self._manager.state,
        }  # fmt: skip
        file = unnamed_file(self._data_dir, json.dumps(state).encode())
        for number in (file, *self._locks.files, self._clients.file, *(n for group in sockets.values() for n in group)):
            os.set_inheritable(number, True)
        with suppress(OSError, AttributeError):  # full, its reader gone, or none at all: its words are the loss
            sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-P", "-m", "gateway.supervisor", str(file)])  # noqa: S606  no shell is wanted

    @classmethod
    def taken_over(cls, file: int) -> Self:
        """What `hand_over` left."""
        state = json.loads(content_of(file))
        os.close(file)
        locks, clients, sockets, manager = (state.pop(k) for k in ("locks", "clients", "sockets", "manager"))
        state |= {"data_dir": Path(state["data_dir"]), "configuration": state["configuration"].encode()}
        supervisor = cls(**state, manager=ServiceManager.of(manager))
        supervisor._locks.adopt(locks)
        supervisor._clients = SharedClientTable(len(supervisor._slots), supervisor._data_dir, clients)
        supervisor._sockets = {kind: [socket.socket(fileno=n) for n in group] for kind, group in sockets.items()}
        for number in (*locks, clients, *(n for group in sockets.values() for n in group)):
            os.set_inheritable(number, False)
        supervisor._claimed = True
        return supervisor

    def run(self) -> int:
        """Until told to stop; the exit code. Claims what was not claimed before."""
        if not self._claimed:
            self.claim()
        self._hear_signals()
        self._guard.keep(self._make_last_good)
        self._turned = time.monotonic()
        while not self._stopping or any(s.alive for s in self._slots):
            self._forgive_own_absence()
            for slot in self._slots:
                if not self._guard.keep(self._tend, slot) and not slot.alive:
                    slot.rest()
            if not self._stopping:
                self._guard.keep(self._reload.go_on, self._slots)
            self._guard.keep(self._tell_manager)
            self._wait()
        self._close()
        return 1 if self._failed else 0

    def _follow(self) -> None:
        self._locks.follow(self._roles)

    def _make_last_good(self) -> None:
        self._last_good = {name: unnamed_file(self._data_dir) for name in ("pair", "zone")}

    def _hear_signals(self) -> None:
        for end in (self._woken, self._wake):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        signal.signal(signal.SIGCHLD, _on_child)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload.asked = True

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._manager.stopping()

    def _wait(self) -> None:
        """Until a signal, a word of a worker, or the next thing that is due."""
        is_busy = self._reload.is_checking or any(not s.alive or s.ending for s in self._slots)
        lives = [s.life for s in self._slots if s.life]
        select.select([self._woken, *lives], [], [], _BUSY_SECONDS if is_busy else _QUIET_SECONDS)
        try:
            self._woken.recv(4096)
        except BlockingIOError:
            return

    def _forgive_own_absence(self) -> None:
        now = time.monotonic()
        if now - self._turned > _STOPPED_SECONDS:
            for slot in self._slots:
                slot.heard = now
        self._turned = now

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._reload.close()
        for group in self._sockets.values():
            for listening in group:
                listening.close()
        self._clients.close()
        self._manager.close()
        self._figures.remove()

    # --- the workers ---

    def _tend(self, slot: Slot) -> None:
        """One look at a slot: bury the dead, start what is due, kill what hangs or outlives its grace."""
        if slot.life and slot.hear():
            self._served = True
            self._reload.serves(slot)
        if slot.process and (code := slot.process.poll()) is not None:
            self._ended(slot, code)
        elif slot.alive and not slot.killed:
            self._watch(slot)
        elif not slot.alive and not self._stopping and time.monotonic() >= slot.start_at:
            self._start(slot)

    def _watch(self, slot: Slot) -> None:
        if slot.kill_at and time.monotonic() > slot.kill_at:
            say(f"{slot.describe()} did not end within its grace; killing it")
            slot.kill()
        elif self._stopping and not slot.ending:
            slot.end()
        elif slot.is_silent and not slot.ending:
            say(f"{slot.describe()} has shown no life for {time.monotonic() - slot.heard:.0f} s; killing it")
            slot.kill()

    def _start(self, slot: Slot) -> None:
        kinds = {"smtp": "smtp" in slot.plan.roles, "http": "web" in slot.plan.roles}
        sockets = {
            kind: [s.fileno() for s in self._sockets.get(kind, [])] if has else [] for kind, has in kinds.items()
        }
        heard, rung = self._bell
        clients = self._clients.file
        slot.configuration = self._reload.configuration
        if self._served and self._locks.are_elsewhere(self._roles):
            try:
                self._follow()
            except InvalidInput as error:
                slot.rest()
                say(
                    f"cannot start a worker ({', '.join(slot.plan.roles)}): {error}; trying again in {slot.pause:.1f} s"
                )
                return
            self._reload.asked = True  # the others work in the data directory that lay there before
        try:
            settings = unnamed_file(self._data_dir, slot.configuration)
        except OSError as error:
            self._not_started(slot, error)
            return
        handed = {"roles": slot.plan.roles, "group": self._roles, "settings": settings, "bell": [heard, rung]}
        handed |= {"clients": clients, "slot": slot.index, "last_good": self._last_good, **sockets}
        files = [
            settings,
            heard,
            rung,
            clients,
            *self._last_good.values(),
            *(n for numbers in sockets.values() for n in numbers),
        ]
        environment = {**_ALLOCATOR, **os.environ, **self._where_to_count()}
        try:
            slot.start(self._command, handed, files, environment)
            self._deaths.lives(slot.pid)
        except OSError as error:
            self._not_started(slot, error)
        finally:
            os.close(settings)

    def _where_to_count(self) -> dict[str, str]:
        if self._figures.is_there():
            return {"PROMETHEUS_MULTIPROC_DIR": str(self._figures.path)}
        say(f"{self._figures.path}: no room for a folder; the next worker's figures are its own")
        return {}

    def _not_started(self, slot: Slot, error: OSError) -> None:
        slot.rest()
        say(
            f"cannot start a worker ({', '.join(slot.plan.roles)}): {error.strerror}; trying again in {slot.pause:.1f} s"
        )

    def _ended(self, slot: Slot, code: int) -> None:
        process, asked, slot.process = slot.process, slot.ending and not slot.killed, None
        assert process
        slot.close_life()
        self._clients.worker_gone(slot.index)
        self._figures.forget_gauges(slot.index)
        slot.kill_at = None
        if asked and code in (0, -signal.SIGTERM):
            # one that SIGTERM itself ended had no handler yet: nothing had begun
            slot.start_at = slot.pause = 0.0
        elif code == CANNOT_START and not self._served:
            # the worker said why; starting it again would not help. Later it may: what it needs was there before
            self._failed = True
            self._stop()
        else:
            self._failed = self._failed or self._stopping
            self._bury(slot, process.pid, code)
            self._reload.died(slot, how(code))
        slot.serves = False

    def _bury(self, slot: Slot, pid: int, code: int) -> None:
        """A worker died: what it had in hand becomes suspect, the world is told, another starts after a pause."""
        suspects = self._deaths.count(pid)
        slot.rest()
        say(
            f"worker {pid} ({', '.join(slot.plan.roles)}) died ({how(code)}) with {suspects} messages in hand; "
            f"another in {slot.pause:.1f} s"
        )

    # --- the service manager ---

    def _tell_manager(self) -> None:
        now = time.monotonic()
        if not self._told_ready and not self._stopping and all(s.serves for s in self._slots):
            self._told_ready = self._manager.ready()
        self._tell_reload()
        interval = self._manager.watchdog_seconds
        if interval and now - self._told_alive >= interval / 2 - _QUIET_SECONDS and self._is_healthy():
            self._told_alive = now if self._manager.alive() else self._told_alive
        status = self._status()
        if status != self._last_status and now - self._told_status >= _STATUS_SECONDS:
            self._told_status, self._last_status = now, status
            self._manager.status(status)

    def _tell_reload(self) -> None:
        if self._stopping or not self._told_ready:
            return
        if self._told_reloads != self._reload.begun:
            if not self._manager.reloading():
                return
            self._told_reloads, self._told_reloading = self._reload.begun, True
        if self._told_reloading and not self._reload.is_under_way:
            self._told_reloading = not self._manager.ready()

    def _is_healthy(self) -> bool:
        """False with a worker that neither shows life nor dies of SIGKILL: only a restart of everything may help then."""
        return not any(s.alive and s.is_silent and not s.ending for s in self._slots)

    def _status(self) -> str:
        serving = sum(s.serves and s.alive for s in self._slots)
        workers = f"{serving}" if serving == len(self._slots) else f"{serving} of {len(self._slots)}"
        sessions = self._clients.open_connections()
        text = f"{workers} worker{'s' * (len(self._slots) > 1)}, {sessions} session{'s' * (sessions != 1)}"
        return f"{'stopping: ' * self._stopping}{text}{self._reload.note}"


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


def _on_child(_number: int, _frame: FrameType | None) -> None:
    """Only so that the end of a child wakes the loop."""


def say(text: str) -> None:
    """A line to stderr; dropped where nobody reads: a log that is blocked must not stop the supervisor.

    Past Python's buffer: what waited in it would fail again at the interpreter's end, and make the exit code 120.
    """
    try:
        file = sys.stderr.fileno()  # not 2: where stderr was closed that may be anything
        _, writable, _ = select.select([], [file], [], 0)
        if writable:
            os.write(file, f"gateway supervisor: {text}\n".encode("utf-8", "backslashreplace"))
    except (OSError, ValueError, AttributeError):  # full, closed, its reader gone; None where it never was
        return
