"""A connection to a listener of our own, whatever kind it is and whomever it takes us for."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.commands.own_listener import connect_to_own
from gateway.smtp.proxy_header import read_proxy_header
from gateway.supervisor import listen
from tests.conftest import missing


@asynccontextmanager
async def serving(listening: socket.socket) -> AsyncIterator[asyncio.Queue[bytes]]:
    """All that each client says until it leaves."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, sock=listening):
        yield heard


async def _said(address: str, heard: asyncio.Queue[bytes], proxies: tuple[str, ...]) -> bytes:
    _, writer = await connect_to_own(address, proxies)
    writer.close()
    await writer.wait_closed()
    return await heard.get()


async def test_a_listener_that_takes_us_for_a_proxy_gets_a_header_that_names_no_client() -> None:
    listening = listen("127.0.0.1:0")
    port = listening.getsockname()[1]
    async with serving(listening) as heard:
        said = await _said(f"127.0.0.1:{port}", heard, ("127.0.0.0/8",))
        assert read_proxy_header(said) == (None, len(said))
        for name in ("localhost", "0.0.0.0", "*"):
            assert await _said(f"{name}:{port}", heard, ("::1", "127.0.0.1")) == said


async def test_other_listeners_hear_nothing_before_they_greet() -> None:
    listening = listen("127.0.0.1:0")
    port = listening.getsockname()[1]
    async with serving(listening) as heard:
        assert await _said(f"127.0.0.1:{port}", heard, ()) == b""
        assert await _said(f"127.0.0.1:{port}", heard, ("10.0.0.0/8", "127.0.0.2", "::1")) == b""


async def test_over_ipv6_the_ipv6_networks_count() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise
        missing("IPv6 on the loopback")
    port = listening.getsockname()[1]
    async with serving(listening) as heard:
        assert await _said(f"[::1]:{port}", heard, ("::1",)) == b"PROXY UNKNOWN\r\n"
        assert await _said(f"[::]:{port}", heard, ("::/64",)) == b"PROXY UNKNOWN\r\n"
        assert await _said(f"[::1]:{port}", heard, ("127.0.0.0/8",)) == b""


@pytest.mark.parametrize("kind", ["unix:", "lmtp:unix:"])
async def test_a_unix_socket_has_no_address_so_nobody_is_a_proxy_there(tmp_path: Path, kind: str) -> None:
    address = f"{kind}{tmp_path}/unix:mail.sock"
    listening = listen(address)
    assert Path(listening.getsockname()) == tmp_path / "unix:mail.sock"
    async with serving(listening) as heard:
        assert await _said(address, heard, ("0.0.0.0/0", "::/0")) == b""
