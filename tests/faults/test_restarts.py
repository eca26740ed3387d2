"""Restarts, again and again under load: of all workers (SIGHUP), and of the whole `serve` behind sockets that systemd holds.

Nobody is refused, nothing is lost, all is answered. They come by the progress of the load: more often than any operator's.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from tests.faults.clients import Clients, Sent, load_until
from tests.faults.comparison import Result, compare
from tests.faults.relay import Relay
from tests.faults.test_worker_dies import ConnectionWatch
from tests.faults.tracing import smtp_worker_pids
from tests.servers.activation import handed, start
from tests.servers.gateway import RunningGateway, wait_until
from tests.servers.on_postgres import gateway_on

RESTARTS = 5


def _restart_under_load(gateway: RunningGateway, relay: Relay, messages: int, restart: Callable[[], None]) -> None:
    """One restart for every sixth part of the messages, and as many more messages as all restarts take; a client whose session ends is told 421, and comes again."""
    sent: list[Sent] = []
    enough = threading.Event()
    clients = Clients(gateway, load_until(enough, messages, 11, sent), deadline_in=900)
    watch = ConnectionWatch(gateway.smtp_port)
    clients.start()
    watch.start()
    try:
        for n in range(1, RESTARTS + 1):
            clients.wait_answered(messages * n // (RESTARTS + 1))
            assert clients.at_work
            restart()
        enough.set()
    except BaseException:
        clients.give_up()
        raise
    finally:
        clients.join()
        watch.stop()
    wait_until(lambda: not gateway.outbox(state="pending"), "all notifications are settled", 120)
    result = Result(len(sent))
    compare(gateway, relay, sent, result)
    assert result.problems + clients.unexpected + clients.refused == []
    assert (result.stored, result.lost, result.doubled, result.sent_again) == (len(sent), 0, 0, 0)
    assert watch.connections > 20
    assert watch.refused == 0
    assert gateway.stop() == 0


def _replace_all(gateway: RunningGateway) -> None:
    assert gateway.process
    before = set(smtp_worker_pids(gateway))
    os.kill(gateway.process.pid, signal.SIGHUP)
    for left in reversed(range(len(before))):
        # one after the other, each with a start of its own: a busy machine takes seconds for it
        _wait_for(lambda left=left: len(before & set(smtp_worker_pids(gateway))) <= left, gateway)  # type: ignore[misc]
    _wait_for(lambda: len(smtp_worker_pids(gateway)) == len(before), gateway)


def _wait_for(condition: Callable[[], bool], gateway: RunningGateway) -> None:
    """AssertionError with what the supervisor said."""
    try:
        wait_until(condition, "the next worker is replaced", 120)
    except AssertionError as error:
        said = [line for line in gateway.log.read_text().splitlines() if not line.startswith("{")]
        raise AssertionError("\n".join([str(error), *said[-10:]])) from None


def test_five_restarts_under_load_refuse_nobody_and_lose_nothing(gateway: RunningGateway, relay: Relay) -> None:
    gateway.start()
    _restart_under_load(gateway, relay, 600, lambda: _replace_all(gateway))


def test_five_restarts_under_load_with_two_workers_on_postgres(postgres: object, tmp_path: Path, relay: Relay) -> None:
    with gateway_on(postgres, tmp_path, relay=relay.url, workers=2) as gateway:  # type: ignore[arg-type]
        gateway.start()
        _restart_under_load(gateway, relay, 600, lambda: _replace_all(gateway))


def test_five_restarts_of_the_whole_behind_handed_sockets_refuse_nobody(gateway: RunningGateway, relay: Relay) -> None:
    """`systemctl restart` with gateway.socket: connections wait in the listening socket."""
    with handed(gateway, gateway.smtp_port, gateway.http_port) as command:
        start(gateway, command)
        wait_until(gateway.ready, "ready", 120)

        def restart() -> None:
            assert gateway.stop() == 0
            start(gateway, command)
            wait_until(gateway.ready, "ready again", 120)

        _restart_under_load(gateway, relay, 300, restart)
