"""How the gateway calls on itself: a connection to a listener of its own, as `/readyz` and `doctor` make it."""

from __future__ import annotations

import asyncio

from gateway.core.networks import in_networks
from gateway.settings import split_host_port

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}  # noqa: S104  compared with, not bound to
_NOBODYS = b"PROXY UNKNOWN\r\n"


async def connect_to_own(
    address: str, proxy_protocol_from: tuple[str, ...] = ()
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`address` as the settings write it: `host:port`, `[ipv6]:port`, `unix:PATH` or `lmtp:unix:PATH`. Raises OSError.

    Where the listener takes us for a proxy, it would wait for a PROXY header with its greeting: it gets one that speaks
    of no client.
    """
    socket_or_port = address.removeprefix("lmtp:")
    if socket_or_port.startswith("unix:"):
        return await asyncio.open_unix_connection(socket_or_port.removeprefix("unix:"))
    host, port = split_host_port(address)
    reader, writer = await asyncio.open_connection(_ANY.get(host, host), port)
    # our end of the connection, not `host`: that may be a name, and this is what the listener sees
    own = writer.get_extra_info("sockname")
    if own and in_networks(own[0], proxy_protocol_from):
        writer.write(_NOBODYS)
    return reader, writer
