"""A clamd that lies: takes connections and answers as told, for machines without clamd and for what it never does."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

Behaviour = Callable[[socket.socket], None]


def answer(reply: bytes) -> Behaviour:
    """Take the whole message, then say `reply`."""

    def behave(sock: socket.socket) -> None:
        question(sock)
        sock.sendall(reply)

    return behave


def hang(sock: socket.socket) -> None:
    """Take everything and never answer, until the other side is gone."""
    while sock.recv(1 << 16):
        pass


def deaf(sock: socket.socket) -> None:
    """Neither read nor answer."""
    waiting = select.poll()
    waiting.register(sock, 0)  # nothing but the other side's end
    waiting.poll(10_000)


def early(reply: bytes) -> Behaviour:
    """Answer after the first bytes and close, as clamd does at its size limit."""

    def behave(sock: socket.socket) -> None:
        sock.recv(1 << 10)
        sock.sendall(reply)

    return behave


def close(sock: socket.socket) -> None:
    """Take the first bytes and hang up."""
    sock.recv(1 << 10)


def refuse(sock: socket.socket) -> None:
    """Hang up before a word was said: to a client that is still sending, a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ok_over_the_limit(sock: socket.socket) -> None:
    """Read no further than a limit of its own, and call what came so far clean."""
    left = 1 << 20
    while left > 0:
        left -= len(sock.recv(1 << 16))
    sock.sendall(b"stream: OK\0")


def question(sock: socket.socket) -> tuple[bytes, bytes]:
    """The command with its NUL, and the content that came with it."""
    with sock.makefile("rb") as stream:
        command = content = b""
        while not command.endswith(b"\0"):
            command += stream.read(1)
        while command == b"zINSTREAM\0" and (size := int.from_bytes(stream.read(4), "big")):
            content += stream.read(size)
    return command, content


class FakeClamd:
    """Listens on a Unix socket and treats every connection as `behaviour` does, one at a time unless `at_once`."""

    def __init__(self, behaviour: Behaviour, *, at_once: bool = False) -> None:
        self.behaviour = behaviour
        self._at_once = at_once
        self.directory = tempfile.TemporaryDirectory(prefix="fake-clamd-")
        self.socket_path = Path(self.directory.name) / "clamd.sock"
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)

    @property
    def address(self) -> str:
        return f"unix:{self.socket_path}"

    def __enter__(self) -> Self:
        self._listener.bind(str(self.socket_path))
        self._listener.listen(50)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self.directory.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._at_once:
                threading.Thread(target=self._treat, args=(sock,), daemon=True).start()
            else:
                self._treat(sock)

    def _treat(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):  # the gateway may hang up first, which is its right
            self.behaviour(sock)
