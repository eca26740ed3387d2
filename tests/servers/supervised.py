"""A real supervisor over workers that only pretend: its own process, quick to start, with its service manager listening."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.servers.gateway import forget_figures, wait_until
from tests.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
FIRST: dict[str, Any] = {
    "shutdown_grace_seconds": 1.0,
    "value": "first",
    "data_dir": "",
    "database_url": "",
    "blob_url": "",
    "secret_key_file": None,
    "domain": "gw.test",
    "smtp": {"listen": [], "workers": 1},
    "http": {"listen": ""},
}


_MARK = b"a test's own, behind all that was said before"


@dataclass(frozen=True)
class Start:
    """A line of a fake worker."""

    slot: int
    pid: int
    behaviour: str
    value: str
    rest: str


class Supervised:
    """The supervisor's process as a test sees it. `said` are the words to the service manager, in order."""

    def __init__(self, folder: Path, *, workers: int = 2, silence: float = 30, watchdog: float = 0) -> None:
        self.folder, self.port = folder, free_port()
        self.said: list[str] = []
        self._heard = threading.Event()
        self._workers, self._silence, self._watchdog = workers, silence, watchdog
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self.process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while word := self._manager.recv(4096):
                if word == _MARK:
                    self._heard.set()
                else:
                    self.said.append(word.decode())

    def offer(self, **changed: Any) -> None:
        """The configuration that the next check finds (the start, too)."""
        (self.folder / "new").write_text(json.dumps({"settings": {**FIRST, **changed}}))

    def start(self, **configuration: Any) -> None:
        self.offer(**configuration)
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify"), "LISTEN_FDS": "1"}
        environment |= {"WATCHDOG_USEC": str(int(self._watchdog * 1e6))} if self._watchdog else {}
        arguments = [str(self.folder), str(self.port), str(self._workers), str(self._silence)]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.lone_supervisor", *arguments],
                stderr=log, env=environment, cwd=ROOT, start_new_session=True,
            )  # fmt: skip

    def wait_ready(self) -> None:
        wait_until(lambda: "READY=1" in self.said, "it is ready")

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def starts(self) -> list[Start]:
        try:
            lines = (self.folder / "starts").read_text().splitlines()
        except FileNotFoundError:
            return []
        parts = [line.split(" ", 4) for line in lines]
        return [Start(int(slot), int(pid), behaviour, value, rest) for slot, pid, behaviour, value, rest in parts]

    def newest(self, slot: int) -> Start:
        return [s for s in self.starts if s.slot == slot][-1]

    def statuses(self) -> list[str]:
        return [w.removeprefix("STATUS=") for w in self.said if w.startswith("STATUS=")]

    def stop(self, seconds: float = 60) -> int:
        """Its exit code, once all that it said is heard."""
        self.signal(signal.SIGTERM)
        assert self.process
        code = self.process.wait(seconds)
        self.hear()
        return code

    def hear(self) -> None:
        """Wait until what was said so far is in `said`: a thread of its own hears it, which may be behind."""
        self._heard.clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(_MARK, str(self.folder / "notify"))
        assert self._heard.wait(60), "the service manager's thread ended"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
        forget_figures(self.folder / "var")
        self._manager.close()
