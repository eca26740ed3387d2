"""The protocol of the package `clamd` with a conversation of ours, on the event loop. As shipped it loses bytes (`send`,
not `sendall`), connects without a timeout, sends 1 KB chunks, dies of a broken pipe when clamd's size limit answers
early, and needs a thread for each scan: their wake-ups cost a small message more than the scan's own system calls.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import clamd

from gateway.scan.clamd_address import TcpAddress, UnixAddress

CHUNK_BYTES = 128 * 1024
REPLY_LIMIT_BYTES = 4096
_SIZE_LIMIT = "INSTREAM size limit exceeded"
_BACKLOG_FULL_SECONDS = 0.01


class NonsenseReply(clamd.ResponseError):  # type: ignore[misc] # the package is untyped
    """What came back is no reply of clamd's protocol."""


async def instream(address: UnixAddress | TcpAddress, content: bytes, before: bytes = b"") -> tuple[str, str]:
    """Scan `content`, as if `before` stood at its beginning: the status clamd gave (OK, FOUND or ERROR), and what it named.

    Raises OSError, NonsenseReply, and `clamd.BufferTooLongError` over clamd's StreamMaxLength. Without end: give it one.
    """
    reply, complete = await _ask(address, _frames(content, before))
    if reply.startswith(_SIZE_LIMIT):
        raise clamd.BufferTooLongError(reply)
    parsed = clamd.scan_response.match(reply)
    if not parsed:
        raise NonsenseReply(reply[:200])
    name, status = parsed.group("virus", "status")
    if status == "OK" and not complete:
        raise NonsenseReply("clamd called the message clean before it had all of it")
    return status, name or ""


async def ping(address: UnixAddress | TcpAddress) -> str:
    """`PONG`. Raises OSError, NonsenseReply."""
    return (await _ask(address, iter([b"zPING\0"])))[0]


async def version(address: UnixAddress | TcpAddress) -> str:
    """Its version with that of its signatures: `ClamAV 1.4.3/27800/Sat Nov 21 09:24:11 2026`. Raises as `ping`."""
    return (await _ask(address, iter([b"zVERSION\0"])))[0]


async def _ask(address: UnixAddress | TcpAddress, frames: Iterator[bytes]) -> tuple[str, bool]:
    """The reply without its NUL, and whether the whole request was sent before it came."""
    with await _connect(address) as sock:
        rest = _send_at_once(sock, next(frames))
        second = next(frames, None)
        if not rest and second is None:  # nearly every message: no second task for what is already on its way
            return await _reply(sock), True
        return await _send_and_read(sock, rest, second, frames)


async def _connect(address: UnixAddress | TcpAddress) -> socket.socket:
    if isinstance(address, UnixAddress):
        return await _connected(socket.AF_UNIX, 0, address.path)
    found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for family, _, proto, _, where in found[:-1]:
        try:
            return await _connected(family, proto, where)
        except OSError:
            continue  # as `localhost` has two addresses; the last one's failure is told
    family, _, proto, _, where = found[-1]
    return await _connected(family, proto, where)


async def _connected(family: int, proto: int, where: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, proto)
    try:
        sock.setblocking(False)
        if family == socket.AF_UNIX:
            await _connect_unix(sock, where)
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the last frame waits 40 ms for an ACK
            await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect_unix(sock: socket.socket, path: str) -> None:
    """Not asyncio's: a full backlog says EAGAIN, and what it takes for a connection in progress is none."""
    while True:
        try:
            return sock.connect(path)
        except BlockingIOError:
            await asyncio.sleep(_BACKLOG_FULL_SECONDS)


def _send_at_once(sock: socket.socket, frame: bytes) -> memoryview:
    """What the socket does not take now."""
    try:
        return memoryview(frame)[sock.send(frame) :]
    except BlockingIOError:
        return memoryview(frame)
    except (BrokenPipeError, ConnectionResetError):
        return memoryview(b"")  # why is in its last words


async def _send_and_read(
    sock: socket.socket, rest: memoryview, second: bytes | None, frames: Iterator[bytes]
) -> tuple[str, bool]:
    """Reading while sending: a reply that comes early makes the rest of the sending pointless."""
    sending = asyncio.create_task(_send(sock, rest, second, frames))
    try:
        reply = await _reply(sock)
        complete = sending.done() and sending.result()
    finally:
        sending.cancel()
        # only then is the socket out of the selector: closed before, its number would be met there by the next connection
        await asyncio.gather(sending, return_exceptions=True)
    return reply, complete


async def _send(sock: socket.socket, rest: memoryview, second: bytes | None, frames: Iterator[bytes]) -> bool:
    """False when clamd closed its ear; why is in its last words (the size limit)."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(sock, rest)
        while second is not None:
            await loop.sock_sendall(sock, second)
            await asyncio.sleep(0)  # ten megabytes that clamd takes as fast as they come are others' turn too
            second = next(frames, None)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


async def _reply(sock: socket.socket) -> str:
    loop = asyncio.get_running_loop()
    reply = b""
    while not reply.endswith(b"\0"):
        chunk = await loop.sock_recv(sock, REPLY_LIMIT_BYTES)
        reply += chunk
        if not chunk and not reply:
            raise ConnectionResetError("clamd closed the connection without a reply")
        if not chunk or len(reply) > REPLY_LIMIT_BYTES or b"\0" in reply[:-1]:
            raise NonsenseReply(f"not one whole reply: {reply[:80]!r}")
    return reply[:-1].decode("utf-8", "replace").strip()


def _frames(content: bytes, before: bytes) -> Iterator[bytes]:
    """The request: `zINSTREAM`, then chunks that carry their length, then a length of zero. A small one is one frame,
    because every frame is a system call here and a wake-up there.
    """
    head = b"zINSTREAM\0" + (struct.pack("!L", len(before)) + before if before else b"")
    for at in range(0, len(content), CHUNK_BYTES):
        chunk = content[at : at + CHUNK_BYTES]
        last = struct.pack("!L", 0) if at + CHUNK_BYTES >= len(content) else b""
        yield head + struct.pack("!L", len(chunk)) + chunk + last
        head = b""
    if not content:
        yield head + struct.pack("!L", 0)
