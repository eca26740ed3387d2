"""PostgreSQL stops, freezes or drops connections: 451 within ten seconds, back by itself, nothing doubled."""

from __future__ import annotations

import shutil
import smtplib
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.clients import Clients, unique_messages
from tests.faults.comparison import Result, compare
from tests.faults.relay import Relay
from tests.servers.gateway import Fault, RunningGateway, mail, wait_until
from tests.servers.on_postgres import gateway_on
from tests.servers.postgres import HOW_TO_GET_IT, PostgresServer, binaries

PROMPT_SECONDS = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Of its own: it is stopped here, and others share theirs."""
    from tests.conftest import missing

    if binaries() is None:
        missing(HOW_TO_GET_IT)
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    folder.chmod(0o755)
    made = PostgresServer(folder)
    made.create()
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gateway(server: PostgresServer, tmp_path: Path, relay: Relay) -> Iterator[RunningGateway]:
    with gateway_on(server, tmp_path, relay=relay.url, workers=2) as made:
        yield made


def _cut_all(server: PostgresServer) -> None:
    """The server ends every connection of the gateway, whatever it is doing."""
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gateway'")


def _send_together(gateway: RunningGateway, contents: list[bytes]) -> tuple[set[int], float]:
    """Each in its own session, all at once; the codes, and the longest time to a reply."""
    codes: set[int] = set()
    seconds = [0.0]

    def one(content: bytes) -> None:
        began = time.monotonic()
        try:
            codes.add(gateway.send(content).code)
        except smtplib.SMTPResponseException as refusal:
            codes.add(refusal.smtp_code)
        seconds.append(time.monotonic() - began)

    threads = [threading.Thread(target=one, args=(c,)) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes, max(seconds)


def _status(gateway: RunningGateway, path: str) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.http_port}{path}", headers={"Authorization": "Bearer x"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("away", "back"),
    [(PostgresServer.stop, PostgresServer.start), (PostgresServer.pause, PostgresServer.resume)],
    ids=["stopped", "frozen"],
)
def test_a_server_that_is_away_defers_within_ten_seconds_and_is_used_again_when_it_returns(
    gateway: RunningGateway,
    server: PostgresServer,
    away: Callable[[PostgresServer], None],
    back: Callable[[PostgresServer], None],
) -> None:
    gateway.start()
    contents = [mail(n) for n in range(30)]
    assert {gateway.send(mail(f"before {n}")).code for n in range(4)} == {250}
    away(server)
    try:
        codes, longest = _send_together(gateway, contents)
        assert codes == {451}
        assert longest < PROMPT_SECONDS
        assert _status(gateway, "/healthz") == 200
        # what was found within the last second is told again
        wait_until(lambda: _status(gateway, "/readyz") == 503, "readyz tells it")
        assert _status(gateway, "/api/v1/accounts") == 503
    finally:
        back(server)
    returned = time.monotonic()
    gateway.store.close()  # the test's own connections are as dead as the gateway's
    wait_until(lambda: _send_together(gateway, contents)[0] == {250}, "all taken again", PROMPT_SECONDS)
    wait_until(lambda: _status(gateway, "/readyz") == 200, "ready again", PROMPT_SECONDS)
    assert time.monotonic() - returned < PROMPT_SECONDS
    assert len(gateway.messages()) == len(gateway.tickets()) == 34
    assert gateway.audit().problems == []
    assert gateway.stop() == 0


def test_nothing_is_lost_or_doubled_while_the_server_stops_freezes_and_cuts(
    gateway: RunningGateway, server: PostgresServer, relay: Relay
) -> None:
    gateway.start()
    sent = unique_messages(200, seed=5)
    clients = Clients(gateway, sent, deadline_in=900)
    clients.start()
    try:
        for until in (30, 70):
            clients.wait_answered(until)
            server.stop()
            server.start()
        for until in (100, 130):
            clients.wait_answered(until)
            _cut_all(server)
        clients.wait_answered(160)
        server.pause()
        wait_until(lambda: _status(gateway, "/readyz") == 503, "the freeze is noticed")
        server.resume()
    except BaseException:
        clients.give_up()
        raise
    finally:
        clients.join()
    gateway.store.close()  # the test's own connections are as dead as the gateway's
    wait_until(lambda: not gateway.outbox(state="pending"), "all notifications are settled", 120)
    result = Result(len(sent))
    # what an attempt's record could not tell in time is settled by trying again, with the same Message-ID
    result.kills = 1
    compare(gateway, relay, sent, result)
    assert result.problems + clients.unexpected == []
    assert (result.stored, result.lost, result.doubled) == (200, 0, 0)
    assert result.sent_again == 0
    assert gateway.stop() == 0


@pytest.mark.parametrize("stage", ["in-commit", "after-commit"])
def test_a_connection_cut_at_the_commit_is_settled_by_the_receipt(
    gateway: RunningGateway, server: PostgresServer, stage: str
) -> None:
    """Held between statements or behind COMMIT while the server ends the connection: the client's answer is the truth."""
    gateway.start(Fault(stage, "hold"))
    replies = []
    client = threading.Thread(target=lambda: replies.append(gateway.send(mail("cut"))))
    client.start()
    wait_until(lambda: gateway.held(stage), stage)
    _cut_all(server)
    gateway.let_go(stage)
    client.join()
    gateway.store.close()
    kept = gateway.messages()
    assert len(kept) == (1 if replies[0].code == 250 else 0)
    assert replies[0].code == (451 if stage == "in-commit" else 250)
    # each process finds its other connections dead first, and says 451 to one client
    wait_until(lambda: _send_together(gateway, [mail("cut")])[0] == {250}, "taken again")
    assert len(gateway.messages()) == len(gateway.tickets()) == 1
    assert gateway.audit().problems == []
