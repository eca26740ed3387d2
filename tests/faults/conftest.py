"""A relay and a gateway per test, ended with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.relay import Relay
from tests.servers.gateway import RunningGateway


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One after the other: these tests watch the clock, and each has several processes of its own."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("faults"))


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, relay: Relay) -> Iterator[RunningGateway]:
    """Not started: a test says which faults it starts with."""
    with RunningGateway(tmp_path, relay=relay.url) as made:
        yield made
