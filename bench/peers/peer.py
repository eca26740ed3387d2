"""What a peer is to the runner, and what most of them share: daemons in the foreground, a port, a log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bench import sink
from bench.places import free_port
from bench.services import RECIPIENT, Services

SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


class Peer(ABC):
    """A mail server on a port of 127.0.0.1. Started once a run, loaded in every round."""

    name: ClassVar[str]
    marks: ClassVar[Mapping[str, str]]
    """What its log and its queue must hold (regular expressions) for each check that it says it makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.recipient = RECIPIENT
        self.log = folder / "log"
        folder.mkdir(mode=0o755)
        self._daemons: list[tuple[subprocess.Popen[bytes], bool]] = []

    @classmethod
    @abstractmethod
    def missing(cls) -> list[str]:
        """Packages that are not there; see bench/install.py."""

    @abstractmethod
    def start(self, services: Services) -> None:
        """Until it says 220. Raises TimeoutError or RuntimeError when it does not."""

    def own(self) -> list[int]:
        """The roots of its own processes."""
        return [p.pid for p, helps in self._daemons if not helps and p.poll() is None]

    def helpers(self) -> list[int]:
        """The roots of what it needs beside it, but for the clamd that all share."""
        return [p.pid for p, helps in self._daemons if helps and p.poll() is None]

    def said(self) -> str:
        """Its logs, and the head of the messages in its queue."""
        return self.log.read_text(errors="replace")

    def unproven(self) -> list[str]:
        """The checks of which no trace is found in what it said."""
        said = self.said()
        return [check for check, mark in self.marks.items() if not re.search(mark, said)]

    def stop(self) -> None:
        """All its process groups, in the order of their start."""
        for process, _ in self._daemons:
            _end(process)

    def _spawn(
        self,
        command: Sequence[str | Path],
        *,
        helper: bool = False,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        """A daemon in the foreground, in a process group of its own."""
        env = {"PATH": SBIN, "LANG": "C.UTF-8"} | dict(environment or {})
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self.folder,
                start_new_session=True, user=user,
            )  # fmt: skip
        self._daemons.append((process, helper))

    def _await_ready(self) -> None:
        try:
            sink.await_greeting(self.port)
        except TimeoutError as error:
            raise TimeoutError(f"{self.name}: {error}\n{self.said()[-3000:]}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """First asked, then killed; the whole group, and nothing else."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
        time.sleep(0.1)  # its children hear the same signal
    process.wait(10)


def newest(folder: Path, pattern: str, count: int = 20, octets: int = 4000) -> str:
    """The heads of the newest files that match, for looking at what a queue holds."""
    files = sorted((p for p in folder.rglob(pattern) if p.is_file()), key=lambda p: p.stat().st_mtime)
    heads = []
    for file in files[-count:]:
        with file.open("rb") as opened:
            heads.append(opened.read(octets).decode("utf-8", "replace"))
    return "\n".join(heads)
