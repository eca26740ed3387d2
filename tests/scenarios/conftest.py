from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.servers.inprocess import Client, Gateway, fresh_ground, make_seed, running


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seed(tmp_path_factory.mktemp("seed"))


@pytest.fixture
async def gateway(seed: Path, tmp_path: Path) -> AsyncIterator[Gateway]:
    ground = fresh_ground(seed, tmp_path / "data", GATEWAY_SMTP__MAX_MESSAGE_BYTES="200000")
    async with running(ground) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    """Has said EHLO."""
    async with gateway.client() as client:
        yield client
