"""A running gateway goes over to a new version by itself; one that is wrong never reaches it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from gateway.commands.publish import publish, rollback
from gateway.commands.schedule import schedule
from gateway.core.clock import now
from gateway.policy.problems import PolicyError
from gateway.store.policies import live_version
from tests.servers.gateway import RunningGateway, mail, wait_until

SEEN_WITHIN_SECONDS = 2.0
TAG = "rules: [{name: all, then: [{tag: [v%s]}]}]"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path) as made:
        made.start()
        yield made


def decided_by(gateway: RunningGateway, number: int) -> int:
    """The version that a message sent now is decided by."""
    events = gateway.trace(gateway.send(mail(number)).trace)["events"]
    return int(next(e for e in events if e["stage"] == "decide")["detail"]["policy_version"])


def test_running_processes_go_over_within_two_seconds_and_back(gateway: RunningGateway) -> None:
    store, account, numbers = gateway.store, gateway.named["acme"], count()
    assert decided_by(gateway, next(numbers)) == 0
    for version in (1, 2):
        assert publish(store, account, TAG % version).version == version
        published = time.monotonic()
        while (begun := time.monotonic()) < published + SEEN_WITHIN_SECONDS:
            if decided_by(gateway, next(numbers)) == version:
                break
        assert begun < published + SEEN_WITHIN_SECONDS or decided_by(gateway, next(numbers)) == version
    assert rollback(store, account, 1).version == 3
    wait_until(lambda: decided_by(gateway, next(numbers)) == 3, "the version that was gone back to")


def test_a_broken_document_never_takes_the_place_of_a_good_one(gateway: RunningGateway) -> None:
    store, account, numbers = gateway.store, gateway.named["acme"], count()
    publish(store, account, TAG % 1)
    wait_until(lambda: decided_by(gateway, next(numbers)) == 1, "the good version")
    for broken in ("rules: [", "rules: [{name: x, then: [{route: nobody}]}]", "accept: {senders: nobody}", "\x00"):
        with pytest.raises(PolicyError):
            publish(store, account, broken)
    assert live_version(store, account) == 1
    assert decided_by(gateway, 1000) == 1


def test_a_version_to_come_is_published_by_the_running_gateway(gateway: RunningGateway) -> None:
    store, account, numbers = gateway.store, gateway.named["acme"], count()
    schedule(store, account, TAG % 1, now() + timedelta(seconds=3))
    assert live_version(store, account) == 0
    wait_until(lambda: live_version(store, account) == 1, "the job that publishes")
    wait_until(lambda: decided_by(gateway, next(numbers)) == 1, "the processes to see it")
