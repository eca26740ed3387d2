"""A server that takes mail and throws it away: the load generator's ceiling, and a fast relay. `python -m bench.sink PORT`.

With a file as second argument it appends there the time of each message, a line each.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from time import monotonic, sleep, time
from typing import TextIO

_END = b"\r\n.\r\n"
_HELLO = b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 0\r\n"


class Sink(asyncio.Protocol):
    """Says yes to everything; sees nothing of the content but its end."""

    def __init__(self, times: TextIO | None = None) -> None:
        self._times = times
        self._seen = b""
        self._content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while self._seen and self._step():
            pass

    def _step(self) -> bool:
        """Whether something was taken off `_seen`."""
        if self._content:
            return self._take_content()
        line, end, rest = self._seen.partition(b"\r\n")
        if not end:
            return False
        self._seen = rest
        self._answer(line[:4].upper())
        return True

    def _take_content(self) -> bool:
        content, end, rest = self._seen.partition(_END)
        if not end:
            self._seen = content[-len(_END) :]
            return False
        self._seen, self._content = rest, False
        if self._times:
            self._times.write(f"{time()}\n")
            self._times.flush()
        self._transport.write(b"250 2.0.0 thrown away\r\n")
        return True

    def _answer(self, verb: bytes) -> None:
        self._content = verb == b"DATA"
        if self._content:
            self._transport.write(b"354 go on\r\n")
            self._seen = b"\r\n" + self._seen  # empty content ends at once
        elif verb in (b"EHLO", b"HELO"):
            self._transport.write(_HELLO)
        elif verb == b"QUIT":
            self._transport.write(b"221 2.0.0 bye\r\n")
            self._transport.close()
        else:
            self._transport.write(b"250 2.0.0 ok\r\n")


async def serve(port: int, file: str = "") -> None:
    """Until cancelled."""
    with contextlib.ExitStack() as stack:
        times = stack.enter_context(open(file, "a")) if file else None  # noqa: PTH123, ASYNC230  once, before anything
        server = await asyncio.get_running_loop().create_server(lambda: Sink(times), "127.0.0.1", port)
        await server.serve_forever()


def await_greeting(port: int, seconds: float = 30, host: str = "127.0.0.1") -> None:
    """Until a server on this port says 220. Raises TimeoutError."""
    end = monotonic() + seconds
    while monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as sock:
            if sock.recv(200).startswith(b"220"):
                sock.sendall(b"QUIT\r\n")
                return
        sleep(0.02)
    raise TimeoutError(f"nothing answers 220 on port {port} within {seconds} s")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:3]))
