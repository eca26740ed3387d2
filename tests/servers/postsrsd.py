"""postsrsd for tests: the program that gives Postfix its Sender Rewriting Scheme, on two ports of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.servers.gateway import wait_until
from tests.servers.ports import free_port

HOW_TO_GET_IT = "postsrsd 1.x: apt-get install postsrsd"


def program() -> str | None:
    """Where it is, None where there is none that speaks by these options (2.x reads a configuration file instead)."""
    found = shutil.which("postsrsd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if found is None:
        return None
    told = subprocess.run([found, "-h"], check=False, capture_output=True, text=True, timeout=10)
    return found if "-f<port>" in told.stdout + told.stderr else None


class Postsrsd:
    """Rewrites reverse-paths to `domain`; `port` is the table that Postfix asks (`tcp:127.0.0.1:port`)."""

    def __init__(self, folder: Path, domain: str) -> None:
        self.port, self._back = free_port(), free_port()
        self._domain = domain
        self._secret = folder / "postsrsd.secret"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._secret.write_text("for tests alone\n")
        options = [f"-d{self._domain}", f"-s{self._secret}", f"-f{self.port}", f"-r{self._back}", "-4"]
        self._process = subprocess.Popen([program() or "postsrsd", *options], start_new_session=True)
        wait_until(self._answers, "postsrsd answers")
        return self

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "postsrsd ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as client:
            client.sendall(b"get carol@customer.test\n")
            return client.recv(200).startswith(b"200 ")
        return False

    def __exit__(self, *_exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
