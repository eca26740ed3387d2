"""What those who watch are told: while all is well, and while something is not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import metrics
from gateway.app import Worker
from gateway.core.errors import StoreUnavailable
from gateway.offload import Offload
from gateway.settings import Settings
from gateway.store.backlog import Backlog, backlog
from gateway.web import figures, readiness
from gateway.web.figures import Figures, LoopLag
from gateway.web.readiness import Readiness, greeting_of
from tests.servers.inprocess import settings_for
from tests.servers.ports import free_port
from tests.unit.web.conftest import Api, World, serving


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    """It remembers counts and lags: here each test has one of its own."""
    async with serving(world) as api:
        yield api


def gauge(text: str, name: str) -> float:
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


# --- /healthz ---


async def test_a_late_loop_is_unhealthy_until_ten_seconds_have_passed_without(api: Api) -> None:
    api.lag.note(0.9)
    assert (await api("/healthz")).status_code == 200
    api.lag.note(1.1)
    answer = await api("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "event loop late", "loop_lag_seconds": 1.1})
    for _ in range(20):
        api.lag.note(0.01)
    assert (await api("/healthz")).json() == {"status": "ok", "loop_lag_seconds": 0.01}


async def test_the_worst_lag_of_ten_seconds_is_the_figure(api: Api) -> None:
    for seconds in (0.1, 0.7, -0.001, 0.2):
        api.lag.note(seconds)
    assert gauge((await api("/metrics")).text, "gateway_loop_lag_seconds") == 0.7


async def test_lag_is_measured_by_a_sleep_that_ends_late(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, lag, times = asyncio.get_running_loop(), LoopLag(), iter([10.0, 12.5])

    async def no_sleep(_seconds: float) -> None:
        return None

    monkeypatch.setattr(figures.asyncio, "sleep", no_sleep)
    monkeypatch.setattr(loop, "time", lambda: next(times))
    await lag.sample()
    monkeypatch.undo()
    assert lag.worst == 2.0


# --- /metrics ---


async def test_the_backlog_is_counted_over_all_accounts(api: Api) -> None:
    text = (await api("/metrics", key="")).text
    found = backlog(api.world.ground.store)
    assert found.parked == 1
    assert found.notifications > 4
    assert gauge(text, "gateway_parked") == 1
    assert gauge(text, "gateway_outbox_waiting") == found.notifications
    assert gauge(text, "gateway_outbox_age_seconds") > 0


async def test_the_figures_name_nobody(api: Api) -> None:
    text = (await api("/metrics")).text
    assert not [name for name in ("acme", "globex", "customer.test") if name in text]


async def test_without_a_database_the_last_count_stays_and_the_rest_is_current(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(figures, "backlog", away)
    metrics.PARKED.set(7)
    async with serving(world) as api:
        text = (await api("/metrics")).text
    assert gauge(text, "gateway_parked") == 7
    assert "gateway_stage_seconds" in text


async def test_a_database_that_hangs_holds_no_scrape_and_is_asked_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = [], threading.Event()

    def hanging(store: Any) -> Any:
        asked.append(store)
        answer.wait(30)
        return backlog(store)

    monkeypatch.setattr(figures, "backlog", hanging)
    monkeypatch.setattr(figures, "_PATIENCE_SECONDS", 0.01)
    pool = Offload("watch", 1)
    gauges = Figures(world.ground.store, pool)
    try:
        for _ in range(3):
            assert b"gateway_smtp_sessions" in await gauges.exposition()
    finally:
        answer.set()
        pool.close()
    assert len(asked) == 1


async def test_many_scrapes_count_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask: that must not become work for the database."""
    counted = []
    monkeypatch.setattr(figures, "backlog", lambda store: counted.append(1) or backlog(store))
    await asyncio.gather(*(api("/metrics") for _ in range(20)))
    assert counted == [1]


async def test_the_age_is_nought_where_nothing_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "backlog", lambda _store: Backlog(0, None, 0))
    async with serving(world) as api:
        text = (await api("/metrics")).text
    assert gauge(text, "gateway_outbox_waiting") == gauge(text, "gateway_outbox_age_seconds") == 0


# --- /readyz ---


async def test_readyz_names_each_check_and_fails_with_the_first_that_does(world: World) -> None:
    async def well() -> str:
        return ""

    async def ill() -> str:
        return "database is locked"

    async with serving(world, {"database": well, "smtp 127.0.0.1:25": well}) as api:
        answer = await api("/readyz", key="")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
    async with serving(world, {"database": ill, "smtp 127.0.0.1:25": well}) as api:
        answer = await api("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "ready": False,
            "checks": {"database": "database is locked", "smtp 127.0.0.1:25": "ok"},
        }


async def test_a_check_that_hangs_is_given_up_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> str:
        await asyncio.Event().wait()
        return ""

    async def well() -> str:
        return ""

    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.01)
    assert await Readiness({"a": hang, "b": well})() == {"a": "no answer within 0 s", "b": "ok"}


async def test_many_askers_share_one_run() -> None:
    runs = []

    async def check() -> str:
        runs.append(1)
        await asyncio.sleep(0)
        return ""

    ready = Readiness({"a": check})
    await asyncio.gather(*(ready() for _ in range(50)))
    assert await ready() == {"a": "ok"}
    assert runs == [1]


async def test_an_asker_that_leaves_ends_no_run_of_others() -> None:
    go = asyncio.Event()

    async def check() -> str:
        await go.wait()
        return ""

    ready = Readiness({"a": check})
    first, second = (asyncio.ensure_future(ready()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second == {"a": "ok"}


@asynccontextmanager
async def listener(greeting: bytes, heard: list[bytes] | None = None) -> AsyncIterator[int]:
    """Sessions end before the listener does."""
    sessions: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sessions.append(asyncio.current_task())
        writer.write(greeting)
        line = await reader.readline()
        if heard is not None:
            heard.append(line)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*filter(None, sessions))


def test_the_listeners_asked_are_those_of_the_group(tmp_path: Path) -> None:
    """A worker may serve the web while others of its supervisor serve SMTP; a web server alone has no listener to ask."""
    settings = settings_for(tmp_path, GATEWAY_SMTP__LISTEN="0.0.0.0:25,[::]:25,unix:/run/smtp.sock")
    every = frozenset({"smtp", "web"})
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        assert list(Worker(settings, every)._listener_checks([own])) == [f"smtp 127.0.0.1:{port}"]
    others = Worker(settings, frozenset({"web"}), every)._listener_checks([])
    assert list(others) == ["smtp 0.0.0.0:25", "smtp [::]:25", "smtp unix:/run/smtp.sock"]
    assert Worker(settings, frozenset({"web"}), frozenset({"web", "outbox"}))._listener_checks([]) == {}


async def test_a_listener_that_greets_is_well_and_is_taken_leave_of() -> None:
    heard: list[bytes] = []
    async with listener(b"220 mx.gw.test ESMTP\r\n", heard) as port:
        assert await greeting_of(f"127.0.0.1:{port}")() == ""
    assert heard == [b"QUIT\r\n"]


async def test_a_listener_that_waits_for_a_proxy_header_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would wait for the header, we for its greeting, and the gateway would count as not ready."""
    heard: list[bytes] = []
    async with proxied_listener(heard) as port:
        listen = {"GATEWAY_SMTP__LISTEN": f"127.0.0.1:{port}"}
        proxied = settings_for(tmp_path, GATEWAY_SMTP__PROXY_PROTOCOL_FROM="10.0.0.0/8,127.0.0.1", **listen)
        assert await found_by(proxied) == [""]
        assert heard == [b"PROXY UNKNOWN\r\n", b"QUIT\r\n"]
        monkeypatch.setattr(readiness, "GREETING_SECONDS", 0.05)
        assert await found_by(settings_for(tmp_path, **listen)) == ["no greeting within 0 s"]


async def found_by(settings: Settings) -> list[str]:
    worker = Worker(settings, frozenset({"web"}), frozenset({"smtp", "web"}))
    return [await check() for check in worker._listener_checks([]).values()]


@asynccontextmanager
async def proxied_listener(heard: list[bytes]) -> AsyncIterator[int]:
    """Says nothing to those who say nothing."""
    sessions: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sessions.append(asyncio.current_task())
        if header := await reader.readline():
            writer.write(b"220 mx.gw.test ESMTP\r\n")
            heard.extend((header, await reader.readline()))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*filter(None, sessions))


@pytest.mark.parametrize("any_address", ["0.0.0.0", "*"])
async def test_a_listener_on_every_address_is_asked_on_the_loopback(any_address: str) -> None:
    async with listener(b"220 hello\r\n") as port:
        assert await greeting_of(f"{any_address}:{port}")() == ""


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        (b"421 4.3.2 too busy\r\n", "greets with '421 4.3.2 too busy', not 220"),
        (b"HTTP/1.1 400 Bad\r\n", "greets with 'HTTP/1.1 400 Bad', not 220"),
    ],
)
async def test_another_greeting_is_told(greeting: bytes, told: str) -> None:
    async with listener(greeting) as port:
        assert await greeting_of(f"127.0.0.1:{port}")() == told


async def test_a_listener_that_says_nothing_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "GREETING_SECONDS", 0.05)
    async with listener(b"") as port:
        assert await greeting_of(f"127.0.0.1:{port}")() == "no greeting within 0 s"


async def test_a_listener_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    assert await greeting_of(f"127.0.0.1:{free_port()}")() == "Connection refused"
    assert await greeting_of(f"unix:{tmp_path / 'none'}")() == "No such file or directory"


@pytest.mark.parametrize("kind", ["unix:", "lmtp:unix:"])
async def test_a_unix_socket_is_asked_too(tmp_path: Path, kind: str) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_unix_server(serve, tmp_path / "smtp.sock"):
        assert await greeting_of(f"{kind}{tmp_path / 'smtp.sock'}", ("::/0", "0.0.0.0/0"))() == ""
        await ended.wait()
