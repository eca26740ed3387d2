"""A real PostgreSQL for tests: the system's binaries, a cluster of its own in a temporary directory."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.ports import free_port

HOW_TO_GET_IT = "PostgreSQL 15 or newer: apt-get install postgresql (macOS: brew install postgresql)"


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`, newest version first."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
    found = shutil.which("initdb")
    candidates = [*debian, *([Path(found).parent] if found else [])]
    return next((c for c in candidates if (c / "initdb").exists() and (c / "postgres").exists()), None)


class PostgresServer:
    """One cluster on a port of 127.0.0.1. Root may not run it: then it runs as `postgres` or `nobody`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = binaries()
        self.port = free_port()
        self._user = _plain_user()
        self._process: subprocess.Popen[bytes] | None = None
        if self._bin is None:
            raise FileNotFoundError(HOW_TO_GET_IT)

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://gateway@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        assert self._bin
        subprocess.run([self._bin / program, *arguments], check=True, capture_output=True, user=self._user, cwd="/")

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "gateway", "-A", "trust", "-E", "UTF8", "--no-locale"
        )

    def start(self) -> None:
        assert self._bin
        options = [
            "-D",
            self.folder / "data",
            "-p",
            str(self.port),
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-c",
            "max_connections=60",
        ]
        program = [self._bin / "postgres", *options]
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(program, stdout=log, stderr=log, user=self._user, cwd="/")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(subprocess.CalledProcessError):
                self._run(
                    "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "gateway", "-c", "select 1", "postgres"
                )
                return
            time.sleep(0.05)
        raise TimeoutError((self.folder / "postgres.log").read_text()[-2000:])

    def sql(self, statement: str, database: str = "postgres") -> None:
        self._run(
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "gateway",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            database,
        )

    def _signal(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """At once, as a crash of its sessions: `immediate` keeps no promise to clients."""
        self._signal(signal.SIGQUIT)
        if self._process:
            self._process.wait(60)
            self._process = None

    def pause(self) -> None:
        """Every process of the server stands still: connections stay open and say nothing."""
        self._signal(signal.SIGSTOP)  # first: from now on no other process comes or goes
        for pid in self._pids()[1:]:
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        if self._process is None:
            return []
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]


def _plain_user() -> str | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server, one a test session (and worker)."""
    from tests.conftest import missing

    if binaries() is None:
        missing(HOW_TO_GET_IT)
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    folder.chmod(0o755)
    server = PostgresServer(folder)
    server.create()
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
