"""The workers are replaced again and again under load (SIGHUP): nobody is refused, nothing is lost, all is answered."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.faults.clients import Clients, unique_messages
from tests.faults.comparison import Result, compare
from tests.faults.relay import Relay
from tests.faults.test_worker_dies import ConnectionWatch
from tests.faults.tracing import smtp_worker_pids
from tests.servers.gateway import RunningGateway, wait_until
from tests.servers.on_postgres import gateway_on

RESTARTS = 5


def _restart_under_load(gateway: RunningGateway, relay: Relay, messages: int) -> None:
    """One restart for every sixth part of the messages; a client whose session ends is told 421, and comes again."""
    gateway.start()
    sent = unique_messages(messages, seed=11)
    clients = Clients(gateway, sent, deadline_in=240)
    watch = ConnectionWatch(gateway.smtp_port)
    clients.start()
    watch.start()
    try:
        for n in range(1, RESTARTS + 1):
            clients.wait_answered(messages * n // (RESTARTS + 1))
            _replace_all(gateway)
    except BaseException:
        clients.give_up()
        raise
    finally:
        clients.join()
        watch.stop()
    wait_until(lambda: not gateway.outbox(state="pending"), "all notifications are settled", 60)
    result = Result(messages)
    compare(gateway, relay, sent, result)
    assert result.problems + clients.unexpected + clients.refused == []
    assert (result.stored, result.lost, result.doubled, result.sent_again) == (messages, 0, 0, 0)
    assert watch.connections > 20
    assert watch.refused == 0
    assert gateway.stop() == 0


def _replace_all(gateway: RunningGateway) -> None:
    assert gateway.process
    before = set(smtp_worker_pids(gateway))
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: before.isdisjoint(now := smtp_worker_pids(gateway)) and len(now) == len(before), "new ones", 60)


def test_five_restarts_under_load_refuse_nobody_and_lose_nothing(gateway: RunningGateway, relay: Relay) -> None:
    _restart_under_load(gateway, relay, 600)


def test_five_restarts_under_load_with_two_workers_on_postgres(postgres: object, tmp_path: Path, relay: Relay) -> None:
    with gateway_on(postgres, tmp_path, relay=relay.url, workers=2) as gateway:  # type: ignore[arg-type]
        _restart_under_load(gateway, relay, 600)
