"""PostgreSQL: how its engine is made, and what is done about a server that is there but says nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout
from sqlalchemy import Engine, create_engine, event, make_url

from gateway.core.errors import StoreUnavailable
from gateway.store.jsontext import json_text

ASK_AGAIN_SECONDS = 0.5
"""How long nobody asks a server that has just not answered."""

_LONG_SECONDS = 60.0
_R = TypeVar("_R")


class NoAnswer(psycopg.OperationalError):
    """A server that took a question and says nothing: frozen, or the way to it is cut."""


def make_engine(url: str, busy_seconds: float, *, prompt: bool) -> Engine:
    """Psycopg 3, READ COMMITTED. Nothing waits long: not a connection, not a lock, not a server that has gone.

    `prompt`, for those who have clients waiting: no statement takes longer than `busy_seconds`, whatever the server does.
    The kernel of a frozen server still acknowledges what is sent, so neither keepalives nor tcp_user_timeout notice.
    """
    limit = int(busy_seconds * 1000)
    # the server gives up before us: it knows what it was waiting for
    longest = limit * 7 // 8 if prompt else int(_LONG_SECONDS * 1000)
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",
        pool_size=8,
        max_overflow=4,
        pool_timeout=busy_seconds,
        json_serializer=json_text,
        connect_args={
            "connect_timeout": max(2, int(busy_seconds)),
            "tcp_user_timeout": limit,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
            "application_name": "gateway",
            "options": f"-c lock_timeout={limit * 3 // 4} -c statement_timeout={longest} "
            "-c synchronous_commit=on -c timezone=UTC",
        },
    )
    if prompt:
        _limit_waiting(engine, busy_seconds)
    return engine


def _limit_waiting(engine: Engine, seconds: float) -> None:
    class PromptConnection(psycopg.Connection[Any]):
        def wait(self, gen: PQGen[_R], *args: Any, **options: Any) -> _R:
            try:
                return super().wait(_until(gen, monotonic() + seconds), *args, **options)
            except NoAnswer:
                # closed, so that the pool drops it and no rollback asks the same server again
                self.pgconn.finish()
                raise

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> psycopg.Connection[Any]:
        return PromptConnection.connect(*arguments, **options)


def _until(generator: PQGen[_R], end: float) -> PQGen[_R]:
    """The same conversation with the server, ended at `end`. Psycopg looks in every tenth of a second (READY_NONE, 0)."""
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if not ready and monotonic() > end:
                raise NoAnswer("the server does not answer")
            wanted = generator.send(ready)
    except StopIteration as done:
        result: _R = done.value
        return result


class Silence:
    """While the server does not answer, one caller at a time finds out; the rest are told at once.

    Without it callers would wait one after the other, each its full time, and the last client for minutes.
    """

    def __init__(self, longest_seconds: float) -> None:
        self._longest = longest_seconds
        self._until = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Raises StoreUnavailable instead of entering the block while it is not this caller's turn to ask."""
        self._await_turn()
        try:
            yield
        except BaseException as error:
            self._until = monotonic() + ASK_AGAIN_SECONDS if _is_silence(error) else 0.0
            raise
        else:
            self._until = 0.0

    def _await_turn(self) -> None:
        if not self._until:
            return
        with self._lock:
            if monotonic() < self._until:
                raise StoreUnavailable("the database did not answer a moment ago")
            self._until = monotonic() + self._longest


def _is_silence(error: BaseException) -> bool:
    return isinstance(getattr(error.__cause__, "orig", None), (NoAnswer, ConnectionTimeout))
