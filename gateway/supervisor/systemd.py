"""What a service manager tells us and hears of us: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), without a library.

Under none, all of it does nothing.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Self

_FIRST_HANDED: Final = 3
_VARIABLES: Final = (
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
)


@dataclass(frozen=True, slots=True)
class Handed:
    """A descriptor that came with the start, under the name of FileDescriptorName= (else that of its .socket unit)."""

    name: str
    socket: socket.socket | None
    """None for what is no socket."""


class ServiceManager:
    """systemd, or whoever else keeps to its protocol."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes the variables out of `environment`: children are not who they were meant for."""
        told = {name: environment.pop(name, "") for name in _VARIABLES}
        self._address = told["NOTIFY_SOCKET"]
        self._sender: socket.socket | None = None
        self.handed = _handed(told)
        self.watchdog_seconds = _watchdog_seconds(told)
        """So often at the least it wants `alive`; None for never."""

    @property
    def state(self) -> dict[str, object]:
        """What this process goes on with after it has become the supervisor; sockets go another way."""
        return {"address": self._address, "watchdog_seconds": self.watchdog_seconds}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Self:
        manager = cls({})
        manager._address, manager.watchdog_seconds = state["address"], state["watchdog_seconds"]
        return manager

    # Each is False while the manager has not taken it: its queue may be full for a moment, or it is being restarted. What
    # it waits for is told again then.

    def ready(self) -> bool:
        """Also the end of what `reloading` began."""
        return self._tell("READY=1")

    def reloading(self) -> bool:
        return self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> bool:
        return self._tell("STOPPING=1")

    def alive(self) -> bool:
        return self._tell("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """One line, for `systemctl status`."""
        return self._tell(f"STATUS={' '.join(text.split())[:500]}")

    def close(self) -> None:
        """After the last word."""
        if self._sender:
            self._sender.close()
            self._sender = None

    def _tell(self, text: str) -> bool:
        """A manager that does not listen stops nobody, nor does one that cannot be told. Where there is none, all is told."""
        if not self._address.startswith(("/", "@")):
            return True
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            self._open().sendto(text.encode(), name)
        except OSError:
            return False
        return True

    def _open(self) -> socket.socket:
        """One socket for all words: where descriptors run out, one for each would be the first to fail. Raises OSError."""
        if self._sender is None:
            self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sender.setblocking(False)
        return self._sender


def _handed(told: dict[str, str]) -> tuple[Handed, ...]:
    """LISTEN_PID guards against variables that were inherited by somebody they were not meant for."""
    count = _number(told["LISTEN_FDS"])
    if told["LISTEN_PID"] != str(os.getpid()) or count > os.sysconf("SC_OPEN_MAX"):
        return ()
    names = told["LISTEN_FDNAMES"].split(":") if told["LISTEN_FDNAMES"] else []
    names += ["unknown"] * (count - len(names))
    return tuple(Handed(names[n], _taken(_FIRST_HANDED + n)) for n in range(count))


def _taken(file: int) -> socket.socket | None:
    try:
        os.set_inheritable(file, False)
        if not stat.S_ISSOCK(os.fstat(file).st_mode):
            return None
    except OSError:
        return None
    return socket.socket(fileno=file)  # finds out family, type and protocol itself


def _watchdog_seconds(told: dict[str, str]) -> float | None:
    if told["WATCHDOG_PID"] not in ("", str(os.getpid())):
        return None
    return _number(told["WATCHDOG_USEC"]) / 1e6 or None


def _number(text: str) -> int:
    """0 for what is none: digits of other scripts are none, nor is what no variable of 64 bits holds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0
