"""The HTTP side of the real `gateway serve`: figures, readiness, the API over a socket."""

from __future__ import annotations

import contextlib
import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.store import changes
from gateway.web.security import key_digest
from tests.servers.gateway import RunningGateway, mail, wait_until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("gateway")) as gateway:
        gateway.start()
        yield gateway
        assert gateway.stop() == 0


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"http://127.0.0.1:{gateway.http_port}", timeout=60) as http:
        yield http


def new_key(gateway: RunningGateway, account: str, key: str) -> str:
    """The key's id."""
    return changes.add_key(gateway.store, gateway.named[account], scope="read", digest=key_digest(key), note="test")


def figure(text: str, name: str) -> float:
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} "))


def test_readyz_reads_the_greeting_of_the_listener_and_asks_the_database(
    gateway: RunningGateway, http: httpx2.Client
) -> None:
    answer = http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database": "ok", f"smtp 127.0.0.1:{gateway.smtp_port}": "ok"}}


def test_reading_the_greeting_leaves_no_line_in_the_delivery_log(gateway: RunningGateway, http: httpx2.Client) -> None:
    before = len(gateway.log_lines())
    assert http.get("/readyz").status_code == 200
    assert len(gateway.log_lines()) == before


def test_the_figures_of_the_worker_are_served(gateway: RunningGateway, http: httpx2.Client) -> None:
    gateway.add_agent("acme", "ann@acme.test")
    assert gateway.send(mail("figures")).code == 250
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'gateway_transactions_total{outcome="accepted",reason="accepted"} ' in answer.text
    assert figure(answer.text, "gateway_parked") == 0
    assert 0 <= figure(answer.text, "gateway_loop_lag_seconds") < 5
    # no relay: what is owed waits; the count may be five seconds old
    wait_until(
        lambda: figure(http.get("/metrics").text, "gateway_outbox_waiting") == len(gateway.outbox()) > 0, "counted"
    )
    assert figure(http.get("/metrics").text, "gateway_outbox_age_seconds") > 0


def test_mail_over_smtp_is_read_back_over_http(gateway: RunningGateway, http: httpx2.Client) -> None:
    new_key(gateway, "acme", "reader")
    http.headers["Authorization"] = "Bearer reader"
    content = mail("reading")
    trace = http.get(f"/api/v1/accounts/acme/traces/{gateway.send(content).trace}").raise_for_status().json()
    message = f"/api/v1/accounts/acme/messages/{trace['message']}"
    number = http.get(message).raise_for_status().json()["ticket"]
    ticket = http.get(f"/api/v1/accounts/acme/tickets/{number}").raise_for_status().json()
    assert [m["subject"] for m in ticket["messages"]] == ["Question reading"]
    assert http.get(f"{message}/raw").content == content
    assert http.get(message.replace("acme", "globex")).status_code == 404


def test_head_answers_without_a_body(http: httpx2.Client) -> None:
    answer = http.head("/api/v1/openapi.json")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 1000


def test_a_key_is_refused_as_soon_as_it_is_revoked(gateway: RunningGateway, http: httpx2.Client) -> None:
    key_id = new_key(gateway, "acme", "short-lived")
    http.headers["Authorization"] = "Bearer short-lived"
    assert http.get("/api/v1/accounts/acme").status_code == 200
    changes.revoke_key(gateway.store, gateway.named["acme"], key_id)
    assert http.get("/api/v1/accounts/acme").status_code == 401


def test_a_request_head_over_the_limit_is_refused_unread(gateway: RunningGateway, http: httpx2.Client) -> None:
    assert http.get("/healthz", headers={"X-Long": "x" * 8_000}).status_code == 200
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=60) as raw:
        raw.sendall(b"GET /healthz?" + b"x" * 20_000)
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


def test_nothing_tells_which_server_answers(http: httpx2.Client) -> None:
    assert "server" not in http.get("/healthz").headers


@contextlib.contextmanager
def unreadable(gateway: RunningGateway) -> Iterator[None]:
    """No reader gets one of SQLite's read marks: lock bytes 120 to 127 of the WAL index (sqlite.org/walformat.html)."""
    with (gateway.settings.data_dir / "gateway.db-shm").open("r+b") as index:

        def locked() -> bool:
            try:
                fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, 120)
            except BlockingIOError:
                return False
            return True

        wait_until(locked, "the WAL index is ours")
        yield


def test_a_database_that_cannot_be_read_makes_the_gateway_unready_and_nothing_else(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway, httpx2.Client(timeout=60) as http:
        gateway.start()
        http.base_url = f"http://127.0.0.1:{gateway.http_port}"
        with unreadable(gateway):
            answer = wait_until(lambda: (a := http.get("/readyz")).status_code == 503 and a, "not ready")
            assert answer.json()["checks"]["database"] != "ok"
            assert answer.json()["checks"][f"smtp 127.0.0.1:{gateway.smtp_port}"] == "ok"
            assert http.get("/healthz").status_code == 200
            assert "gateway_smtp_sessions " in http.get("/metrics").text
        wait_until(lambda: http.get("/readyz").status_code == 200, "ready again")
