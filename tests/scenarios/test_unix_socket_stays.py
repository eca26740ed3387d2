"""A worker that ends leaves the supervisor's unix sockets where they are: the next worker serves them."""

from __future__ import annotations

from pathlib import Path

from tests.servers.inprocess import fresh_ground, running


async def test_a_worker_that_ended_took_the_path_of_the_supervisor_s_socket_along(seed: Path, tmp_path: Path) -> None:
    """From Python 3.13 on, where asyncio's servers remove the path unless told not to."""
    path = tmp_path / "lmtp.sock"
    async with running(fresh_ground(seed, tmp_path / "data", GATEWAY_SMTP__LISTEN=f"lmtp:unix:{path}")) as gateway:
        await gateway.server.drain(5)
        assert path.is_socket()
