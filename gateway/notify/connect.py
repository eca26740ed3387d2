"""A TCP connection to a relay, by any of its addresses that answers."""

from __future__ import annotations

import asyncio
import os
import socket

ANOTHER_SECONDS = 2.0
"""For an address when there is another one left: a dead IPv6 route must not use up the whole patience."""
LAST_SECONDS = 10.0
"""For the last: the kernel asks four times in it. What was lost for longer is not there."""


async def connected(host: str, port: int) -> socket.socket:
    """Non-blocking, and open. Raises OSError, in words of all addresses that were tried."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    wrong = []
    for number, (family, kind, protocol, _, address) in enumerate(found, 1):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(ANOTHER_SECONDS if number < len(found) else LAST_SECONDS):
                await loop.sock_connect(sock, address)
        except OSError as error:  # a TimeoutError too
            sock.close()
            words = os.strerror(error.errno) if error.errno else "no answer"
            wrong.append(f"{address[0]} port {port}: {words}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise OSError("; ".join(wrong) or f"{host} has no address")
