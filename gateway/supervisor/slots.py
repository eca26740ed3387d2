"""The workers to keep, and a place for each: the process in it, and what is known of its life."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

ROLES: Final = ("smtp", "outbox", "web", "pull", "jobs")
CANNOT_START: Final = 2
"""The exit code of a worker that cannot start at all: configuration, schema, secret."""
START_SECONDS: Final = 120.0
"""Within which a worker must serve."""
SILENCE_SECONDS: Final = 30.0
"""A worker that serves and has said nothing for so long hangs: its event loop says something each second."""
KILL_AFTER_GRACE_SECONDS: Final = 10.0
_LONGEST_PAUSE_SECONDS: Final = 10.0
_SERVED_WELL_SECONDS: Final = 30.0


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


@contextmanager
def hangup_kept() -> Iterator[None]:
    """A process that starts here has SIGHUP blocked until it ignores it: who sends it to the whole group means us."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(slots=True)
class Slot:
    """A place for one worker: the process in it, or when the next one starts. `index` tells it from the others."""

    index: int
    plan: Plan
    process: subprocess.Popen[bytes] | None = None
    life: socket.socket | None = None
    """Our end of a pair: the worker ends when it closes, and says an octet when it serves and each second then."""
    configuration: bytes = b""
    serves: bool = False
    began: float = 0.0
    heard: float = 0.0
    pause: float = 0.0
    start_at: float = 0.0
    kill_at: float | None = None
    killed: bool = False

    @property
    def pid(self) -> int:
        """0 while there is no process."""
        return self.process.pid if self.process else 0

    @property
    def alive(self) -> bool:
        return self.process is not None

    @property
    def ending(self) -> bool:
        """It was asked to end."""
        return self.kill_at is not None

    @property
    def is_silent(self) -> bool:
        return time.monotonic() - self.heard > (SILENCE_SECONDS if self.serves else START_SECONDS)

    def start(
        self, program: Sequence[str], handed: Mapping[str, Any], files: Sequence[int], environment: Mapping[str, str]
    ) -> None:
        """`handed` tells the worker which of the inherited `files` is what. Raises OSError when there is no room for
        another process.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        argument = json.dumps({**handed, "life": theirs.fileno()})
        try:
            with hangup_kept():
                self.process = subprocess.Popen(
                    [*program, argument], pass_fds=[theirs.fileno(), *files], env=dict(environment)
                )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.life, self.kill_at, self.serves, self.killed = ours, None, False, False
        self.began = self.heard = time.monotonic()

    def hear(self) -> bool:
        """Take what the worker said. True when it says for the first time that it serves."""
        try:
            said = self.life.recv(4096) if self.life else b""
        except BlockingIOError:
            return False
        except OSError:
            said = b""
        if not said:
            self.close_life()  # it is ending, one way or another
            return False
        first, self.serves, self.heard = not self.serves, True, time.monotonic()
        return first

    def end(self) -> None:
        """Ask it to end in good order, within the grace that it knows of: a reload may have changed it for the next."""
        if self.process and not self.ending and self.process.poll() is None:
            grace = float(json.loads(self.configuration)["shutdown_grace_seconds"])
            self.process.send_signal(signal.SIGTERM)
            self.kill_at = time.monotonic() + grace + KILL_AFTER_GRACE_SECONDS

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.killed = True

    def close_life(self) -> None:
        if self.life:
            self.life.close()
            self.life = None

    def rest(self) -> None:
        """Before the next start, longer after each death soon after a start."""
        served_well = self.serves and time.monotonic() - self.began > _SERVED_WELL_SECONDS
        self.pause = 0.1 if served_well else min(max(self.pause, 0.05) * 2, _LONGEST_PAUSE_SECONDS)
        self.start_at = time.monotonic() + self.pause

    def describe(self) -> str:
        return f"worker {self.pid} ({', '.join(self.plan.roles)})"


def how(code: int) -> str:
    """An exit code of subprocess, in words."""
    return f"signal {-code}" if code < 0 else f"exit {code}"
