"""A real clamd with a database of three signatures, for tests and benches: ready in well under a second, 16 MB."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.ports import free_port

MARKER = b"gateway-test-marker-7f3a91"
"""Bytes our own rule `Gateway.Test.Marker` finds anywhere in a file."""

# The EICAR test file as ClamAV writes signatures: by its MD5 and size, and by its first bytes (in hexadecimal, so that
# no virus scanner of a developer's machine takes this file away).
EICAR_HDB = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n"
EICAR_NDB = "Eicar-Test-Signature:0:0:" + rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$".hex() + "\n"
MARKER_NDB = f"Gateway.Test.Marker:0:*:{MARKER.hex()}\n"


def program() -> str | None:
    """Where clamd is installed; packages put it into sbin, which a person's PATH often lacks."""
    return shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class ClamdServer:
    """Start, stop, kill, freeze and thaw a clamd of one's own. `socket_path` and, when wanted, `tcp_port` answer."""

    def __init__(self, *, stream_max_megabytes: int = 100, with_tcp: bool = False, settings: str = "") -> None:
        # Not pytest's tmp_path: a socket's path holds 107 characters at most.
        self.directory = Path(tempfile.mkdtemp(prefix="clamd-"))
        self.socket_path = self.directory / "clamd.sock"
        self.tcp_port = free_port() if with_tcp else None
        self._config = self.directory / "clamd.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self._write(stream_max_megabytes, settings)

    @property
    def address(self) -> str:
        return f"unix:{self.socket_path}"

    def start(self) -> ClamdServer:
        self.socket_path.unlink(missing_ok=True)
        clamd = program()
        assert clamd, "clamd is not installed"
        with (self.directory / "clamd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [clamd, "--foreground", f"--config-file={self._config}"], stdout=log, stderr=log
            )
        self._await_ready()
        return self

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def learn(self, name: str, pattern: bytes) -> None:
        """A signature more, as an update brings it: `pattern` anywhere in a file. Loaded when this returns."""
        with (self.directory / "database" / "learnt.ndb").open("a") as file:
            file.write(f"{name}:0:*:{pattern.hex()}\n")
        self._reload()

    def forget(self) -> None:
        """What it learnt."""
        learnt = self.directory / "database" / "learnt.ndb"
        if learnt.exists():
            learnt.unlink()
            self._reload()

    def _reload(self) -> None:
        """RELOAD answers before the new signatures are in use; the log tells when they are."""
        log = self.directory / "clamd.log"
        before = log.read_bytes().count(b"Database correctly reloaded")
        self._ask(b"zRELOAD\0")
        deadline = time.monotonic() + 60
        while log.read_bytes().count(b"Database correctly reloaded") == before:
            assert time.monotonic() < deadline, "clamd did not reload"
            time.sleep(0.02)

    def _ask(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(self.socket_path))
            sock.sendall(command)
            return sock.recv(256)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def _write(self, stream_max_megabytes: int, settings: str) -> None:
        database = self.directory / "database"
        database.mkdir()
        (database / "test.hdb").write_text(EICAR_HDB)
        (database / "test.ndb").write_text(EICAR_NDB + MARKER_NDB)
        lines = [
            f"LocalSocket {self.socket_path}",
            f"DatabaseDirectory {database}",
            f"TemporaryDirectory {self.directory}",
            f"StreamMaxLength {stream_max_megabytes}M",
            "AlertExceedsMax yes",
            "AlertEncrypted yes",
            "SelfCheck 0",
        ]
        if os.geteuid() == 0:
            lines.append("User root")
        if self.tcp_port:
            lines += [f"TCPSocket {self.tcp_port}", "TCPAddr 127.0.0.1"]
        self._config.write_text("\n".join(lines) + f"\n{settings}\n")

    def _await_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert self._process
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            raise RuntimeError("clamd did not start: " + (self.directory / "clamd.log").read_text()[-2000:])

    def _answers(self) -> bool:
        try:
            return self._ask(b"zPING\0") == b"PONG\0"
        except OSError:
            return False

    def _signal(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        self._signal(number)
        self._signal(signal.SIGCONT)
        if self._process:
            self._process.wait(60)
            self._process = None


@pytest.fixture(scope="session")
def clamd() -> Iterator[ClamdServer]:
    """A running clamd that all tests share; who stops or pauses it sets it right again."""
    if not program():
        from tests.conftest import missing

        missing("clamd: apt-get install clamav-daemon")
    server = ClamdServer(stream_max_megabytes=25, with_tcp=True)
    server.start()
    yield server
    server.remove()
