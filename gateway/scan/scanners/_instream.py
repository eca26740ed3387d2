"""The package `clamd` with a conversation of ours: as shipped it loses bytes (`send`, not `sendall`), connects without
a timeout, sends 1 KB chunks and dies of a broken pipe when clamd's size limit answers early.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Iterator
from typing import IO

import clamd

from gateway.scan.clamd_address import TcpAddress, UnixAddress

CHUNK_BYTES = 128 * 1024
REPLY_LIMIT_BYTES = 4096
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_SIZE_LIMIT = "INSTREAM size limit exceeded"


class NonsenseReply(clamd.ResponseError):  # type: ignore[misc] # the package is untyped
    """What came back is no reply of clamd's protocol."""


class _Exchange:
    """One request and its reply on a connected socket; the reply is read while the request is still being sent."""

    def __init__(self, sock: socket.socket, frames: Iterator[bytes], deadline: float) -> None:
        self._socket = sock
        self._frames = frames
        self._deadline = deadline
        self._unsent = memoryview(next(frames))
        self._reply = bytearray()

    @property
    def complete(self) -> bool:
        """All of the request was sent before the reply came."""
        return not self._unsent

    def run(self) -> str:
        """The reply without its NUL. Raises TimeoutError, OSError, NonsenseReply."""
        self._socket.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, _READ | _WRITE)
            while not self._reply.endswith(b"\0"):
                for _, ready in selector.select(_left(self._deadline)):
                    # Reading comes first: a reply that came early makes the rest of the sending pointless.
                    if ready & _READ:
                        self._read()
                    elif not self._send():
                        selector.modify(self._socket, _READ)
        return self._reply[:-1].decode("utf-8", "replace").strip()

    def _send(self) -> bool:
        """True while there is more to send."""
        try:
            sent = self._socket.send(self._unsent)
        except (BrokenPipeError, ConnectionResetError):
            # clamd closed its ear; why is in its last words (the size limit), so they are read before giving up.
            return False
        self._unsent = self._unsent[sent:] or memoryview(next(self._frames, b""))
        return bool(self._unsent)

    def _read(self) -> None:
        chunk = self._socket.recv(REPLY_LIMIT_BYTES)
        self._reply += chunk
        if not chunk and not self._reply:
            raise ConnectionResetError("clamd closed the connection without a reply")
        if not chunk or len(self._reply) > REPLY_LIMIT_BYTES or b"\0" in self._reply[:-1]:
            raise NonsenseReply(f"not one whole reply: {bytes(self._reply[:80])!r}")


class _Conversation:
    """Mixed into the package's classes: every request under one deadline, a `time.monotonic()` value."""

    clamd_socket: socket.socket
    deadline: float

    def instream(self, buff: IO[bytes]) -> dict[str, tuple[str, str | None]]:
        """Scan what `buff` holds: `{"stream": (status, name)}` as the package has it; status is OK, FOUND or ERROR.

        Raises TimeoutError, OSError, NonsenseReply, and `clamd.BufferTooLongError` over clamd's StreamMaxLength.
        """
        reply, complete = self._ask(_frames(buff))
        if reply.startswith(_SIZE_LIMIT):
            raise clamd.BufferTooLongError(reply)
        parsed = clamd.scan_response.match(reply)
        if not parsed:
            raise NonsenseReply(reply[:200])
        name, virus, status = parsed.group("path", "virus", "status")
        if status == "OK" and not complete:
            raise NonsenseReply("clamd called the message clean before it had all of it")
        return {name: (status, virus)}

    def ping(self) -> str:
        """`PONG`. Raises TimeoutError, OSError, NonsenseReply."""
        return self._ask(iter([b"zPING\0"]))[0]

    def _init_socket(self) -> None:
        # Overridden because the package connects before it sets the timeout.
        self.clamd_socket = self._connect(_left(self.deadline))

    def _connect(self, timeout_seconds: float) -> socket.socket:
        raise NotImplementedError

    def _ask(self, frames: Iterator[bytes]) -> tuple[str, bool]:
        """The reply, and whether the whole request was sent before it came."""
        self._init_socket()
        try:
            exchange = _Exchange(self.clamd_socket, frames, self.deadline)
            return exchange.run(), exchange.complete
        finally:
            self.clamd_socket.close()


class UnixClamd(_Conversation, clamd.ClamdUnixSocket):  # type: ignore[misc] # the package is untyped
    def __init__(self, address: UnixAddress, deadline: float) -> None:
        super().__init__(path=address.path)
        self.deadline = deadline

    def _connect(self, timeout_seconds: float) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout_seconds)
            sock.connect(self.unix_socket)
        except BaseException:
            sock.close()
            raise
        return sock


class TcpClamd(_Conversation, clamd.ClamdNetworkSocket):  # type: ignore[misc] # the package is untyped
    def __init__(self, address: TcpAddress, deadline: float) -> None:
        super().__init__(host=address.host, port=address.port)
        self.deadline = deadline

    def _connect(self, timeout_seconds: float) -> socket.socket:
        sock = socket.create_connection((self.host, self.port), timeout_seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the last frame waits 40 ms for an ACK
        return sock


def client(address: UnixAddress | TcpAddress, deadline: float) -> UnixClamd | TcpClamd:
    """A client for one request that must be answered before `deadline` (`time.monotonic()`)."""
    return UnixClamd(address, deadline) if isinstance(address, UnixAddress) else TcpClamd(address, deadline)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("clamd did not answer in time")
    return left


def _frames(buff: IO[bytes]) -> Iterator[bytes]:
    """The request: `zINSTREAM`, then chunks that carry their length, then a length of zero. A small one is one frame,
    because every frame is a system call here and a wake-up there.
    """
    head = b"zINSTREAM\0"
    while chunk := buff.read(CHUNK_BYTES):
        frame = head + struct.pack("!L", len(chunk)) + chunk
        head = b""
        if len(chunk) < CHUNK_BYTES:
            yield frame + struct.pack("!L", 0)
            return
        yield frame
    yield head + struct.pack("!L", 0)
