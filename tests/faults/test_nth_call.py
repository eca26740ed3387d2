"""The n-th system call fails on the way of a small and of a large message: nothing is lost, doubled or refused for good."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from tests.conftest import missing
from tests.faults.nth_call import CONNECT, POSTGRES, SQLITE, Counts, Kind, Series
from tests.faults.tracing import Trace, smtp_worker, why_not
from tests.servers.fake_clamd import FakeClamd, answer
from tests.servers.gateway import ZONE, RunningGateway, mail, wait_until
from tests.servers.on_postgres import gateway_on
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="module", autouse=True)
def _tracing() -> None:
    if reason := why_not():
        missing(reason)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Series]:
    folder = tmp_path_factory.mktemp("sqlite")
    with RunningGateway(folder) as gateway:
        gateway.start()
        yield Series(gateway, folder)
        assert gateway.stop() == 0


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Series]:
    folder = tmp_path_factory.mktemp("postgres")
    with gateway_on(postgres, folder) as gateway:
        gateway.start()
        yield Series(gateway, folder)
        assert gateway.stop() == 0


@pytest.fixture(scope="module")
def with_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Series]:
    """A scanner and a name server are asked about every message."""
    folder = tmp_path_factory.mktemp("services")
    with FakeClamd(answer(b"stream: OK\0")) as clamd, _name_server() as port:
        settings = {"clamav": {"address": clamd.address}, "dns": {"port": port}}
        with RunningGateway(folder, settings=settings, zone=ZONE) as gateway:
            gateway.start()
            yield Series(gateway, folder)
            assert gateway.stop() == 0


@contextmanager
def _name_server() -> Iterator[int]:
    """Knows no name."""

    def serve() -> None:
        while True:
            query, client = listening.recvfrom(4096)
            if not query:
                return
            response = dns.message.make_response(dns.message.from_wire(query))
            response.set_rcode(dns.rcode.NXDOMAIN)
            listening.sendto(response.to_wire(), client)

    with socket.socket(type=socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as ending:
                ending.sendto(b"", listening.getsockname())
            thread.join()


def _run(series: Series, kind: Kind, author: str = "anna@customer.test") -> Counts:
    """With EVERY_CALL=1 in the environment no n is left out."""
    counts = Counts()
    for size in kind.sizes:
        one = series.run(kind, size, author=author, full=bool(os.environ.get("EVERY_CALL")))
        print(f"{kind}, {size}: {one}")
        counts.add(one)
    return counts


@pytest.mark.parametrize("kind", SQLITE, ids=str)
def test_a_call_that_fails_loses_and_doubles_nothing(on_sqlite: Series, kind: Kind) -> None:
    assert _run(on_sqlite, kind).failed_calls


@pytest.mark.parametrize("kind", POSTGRES, ids=str)
def test_a_call_that_fails_loses_and_doubles_nothing_on_postgres(on_postgres: Series, kind: Kind) -> None:
    assert _run(on_postgres, kind).failed_calls


@pytest.mark.parametrize("kind", CONNECT, ids=str)
def test_a_connection_that_is_refused_loses_and_doubles_nothing(with_services: Series, kind: Kind) -> None:
    assert _run(with_services, kind, author="anna@elsewhere.example").failed_calls


def test_a_lock_that_cannot_be_had_defers(on_sqlite: Series) -> None:
    _run(on_sqlite, Kind("flock", "ENOLCK", ("committer",)))


def test_a_bell_that_cannot_be_rung_ends_no_committer(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway:
        gateway.start()
        worker = smtp_worker(gateway, tmp_path / "look.trace")
        with Trace([worker.committer], ["write"], tmp_path / "trace", fail="EIO:when=1") as trace:
            gateway.send(mail("rings"))
            # The committer rings behind the answer: whoever lets go of it at the 250 may be too early.
            wait_until(lambda: trace.injected, "the ring that fails")
        with gateway.session(timeout=10) as client:
            wait_until(lambda: client.noop()[0] == 250, "it serves")
        assert worker.lives
