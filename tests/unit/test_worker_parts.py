"""A worker whose parts fail: what watches goes on and says so; what ends for good ends the worker, for a new one."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager

import pytest
import structlog
import uvicorn
from sqlalchemy.exc import ProgrammingError

from gateway import app, duties
from gateway.app import Bell, Worker
from gateway.certificates import Certificates
from gateway.core.errors import StoreUnavailable
from gateway.ground import prepare
from gateway.jobs.runner import JobRunner
from gateway.life import Life
from gateway.outbox.worker import OutboxWorker
from gateway.settings import Settings
from gateway.smtp.client_table import ClientTable
from gateway.smtp.floods import Floods
from gateway.smtp.server import SmtpServer
from gateway.store.directory import Directory
from gateway.web.figures import LoopLag
from tests.servers.certificates import Authority
from tests.servers.inprocess import settings_for, until

ROLES = frozenset({"smtp", "outbox", "web", "jobs"})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("worker")
    cert, key = Authority().issue("mx.gw.test").write(folder)
    settings = settings_for(folder)
    smtp = settings.smtp.model_copy(update={"tls_cert": cert, "tls_key": key})
    prepare(settings)
    return settings.model_copy(update={"smtp": smtp})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)  # meant for a process of its own
    monkeypatch.setattr(app, "CHANGE_POLL_SECONDS", 0.02)
    monkeypatch.setattr("gateway.smtp.server.FLOODS_SECONDS", 0.02)
    monkeypatch.setattr("gateway.web.figures.SAMPLE_SECONDS", 0.02)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[asyncio.Task[bool]]:
    """A worker of all roles, and the supervisor's end of its life; the task's result is what `run` came to."""
    with ExitStack() as stack:
        smtp, http = (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        heard, rung = os.pipe()
        stack.callback(os.close, rung)
        stack.callback(os.close, heard)
        os.set_blocking(heard, False)
        worker = Worker(settings, ROLES)
        running = asyncio.create_task(worker.run([smtp], [http], Life(ours), Bell(heard, rung), ClientTable.alone()))
        await asyncio.get_running_loop().run_in_executor(None, theirs.recv, 1)  # it serves
        yield running
        theirs.close()
        await asyncio.wait([running])


# --- rounds go on ---

WATCHERS: dict[str, tuple[type, str]] = {
    "changes": (Directory, "refresh"),
    "certificates": (Certificates, "refresh"),
    "floods": (Floods, "flush"),
    "loop lag": (LoopLag, "note"),
}


def _broken() -> ProgrammingError:
    return ProgrammingError("SELECT number FROM change", {}, Exception('relation "change" does not exist'))


@pytest.mark.parametrize("name", WATCHERS)
async def test_a_watcher_outlives_an_error_that_nobody_foresaw(
    name: str, prepared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that was away for two seconds ended the watch of changes for good, without a line in the log."""
    calls: list[bool] = []
    place, method = WATCHERS[name]
    as_it_was: Callable[..., object] = getattr(place, method)

    def at_times(*arguments: object, **more: object) -> object:
        calls.append(breaks)
        if breaks:
            raise _broken()
        return as_it_was(*arguments, **more)

    breaks = False
    monkeypatch.setattr(place, method, at_times)
    with structlog.testing.capture_logs() as logged:
        async with working(prepared) as running:
            breaks = True
            await until(lambda: calls.count(True) > 2)
            breaks = False
            seen = len(calls)
            await until(lambda: len(calls) > seen + 2)
        assert running.result()
    told = [line for line in logged if line["event"] == "round failed"]
    assert [line["round"] for line in told] == [name], "once, however often"


@pytest.mark.parametrize(("reminder_seconds", "told"), [(60.0, ["away", "locked"]), (0.0, ["away", "away", "locked"])])
async def test_the_same_failure_is_told_once_and_reminded_of(
    reminder_seconds: float, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duties, "REMINDER_SECONDS", reminder_seconds)
    errors = iter([StoreUnavailable("away"), StoreUnavailable("away"), StoreUnavailable("locked")])
    ended = asyncio.Event()

    async def one() -> None:
        if error := next(errors, None):
            raise error
        ended.set()

    with structlog.testing.capture_logs() as logged:
        task = asyncio.create_task(duties.rounds("changes", one, 0))
        await asyncio.wait_for(ended.wait(), 60)
        task.cancel()
        await asyncio.wait([task])
    assert [(line["event"], line["log_level"], line["error"]) for line in logged] == [
        ("round waits", "warning", words) for words in told
    ]


# --- what ends, ends the worker ---


def _raises(*_: object, **__: object) -> None:
    raise _broken()


PARTS: dict[str, tuple[type, str]] = {
    "outbox": (OutboxWorker, "_sleep"),
    "jobs": (JobRunner, "_sleep"),
    "web": (uvicorn.Server, "main_loop"),
    "loop lag": (LoopLag, "watch"),
    "sign of life": (Life, "show"),
    "floods": (SmtpServer, "watch_floods"),
}


@pytest.mark.parametrize("how", ["raises", "returns"])
@pytest.mark.parametrize("name", PARTS)
async def test_a_part_that_ends_before_its_time_ends_the_worker(
    name: str, how: str, prepared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, method = PARTS[name]
    moment = asyncio.Event()
    as_it_was = getattr(place, method)

    async def ends(part: object) -> None:
        if name == "sign of life":
            part._ours.send(b".")  # type: ignore[attr-defined]
        if how == "returns" and name in ("outbox", "jobs"):
            part._stopping = moment.is_set()  # type: ignore[attr-defined]
            await as_it_was(part)
            return
        await moment.wait()
        if how == "raises":
            raise _broken()

    monkeypatch.setattr(place, method, ends)
    with structlog.testing.capture_logs() as logged:
        async with working(prepared) as running:
            moment.set()
            async with asyncio.timeout(60):
                await asyncio.wait([running])
            assert running.result() is False, "exit 1: the supervisor starts another"
    [told] = [line for line in logged if line["log_level"] == "error"]
    assert told["part"] == name
    assert bool(told.get("exc_info")) is (how == "raises")


async def test_a_worker_that_is_told_to_stop_accuses_no_part(prepared: Settings) -> None:
    with structlog.testing.capture_logs() as logged:
        async with working(prepared) as running:
            pass
        assert running.result()
    assert [line for line in logged if line["log_level"] == "error"] == []
