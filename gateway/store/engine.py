"""The database: engines and the write lock."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, text

from gateway.core.errors import StoreUnavailable
from gateway.store.anchor import Anchor
from gateway.store.faults import translated_faults
from gateway.store.jsontext import json_text

if TYPE_CHECKING:
    from gateway.store.postgres import Silence

BUSY_SECONDS = 4.0
"""How long a writer waits for its turn before the client is told to come again. A message that came while another group
waited has its 451 within twice this."""


class WriteLock:
    """One writer at a time over all processes of a data directory.

    SQLite's own busy wait polls with growing sleeps: two committers were measured to wait up to 2.9 s on each other, with
    an flock 0.27 s. Within a process a lock hands over at once; between processes the flock is asked for every 2 ms.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inside = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises StoreUnavailable after BUSY_SECONDS."""
        end = time.monotonic() + BUSY_SECONDS
        if not self._inside.acquire(timeout=BUSY_SECONDS):
            raise StoreUnavailable("database is locked by another writer of this process")
        try:
            file = self._locked_file(end)
            try:
                yield
            finally:
                os.close(file)
        finally:
            self._inside.release()

    def _locked_file(self, end: float) -> int:
        with translated_faults():
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(file, end)
            except BaseException:
                os.close(file)
                raise
        return file


def _lock(file: int, end: float) -> None:
    """Raises StoreUnavailable when others have it until `end` (monotonic), OSError when it cannot be had at all."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise StoreUnavailable("database is locked by another process") from None
            time.sleep(0.002)
        else:
            return


class Store:
    """Connections to the one database. `read()` sees committed data; `write()` is one transaction.

    One code path for SQLite and PostgreSQL; what differs is here: how engines are made, and that SQLite's writers queue
    at a lock of ours.
    """

    def __init__(self, url: str, data_dir: Path, *, prompt: bool = False) -> None:
        """`prompt`: clients are waiting, so no statement may take longer than BUSY_SECONDS, and nothing that is gone is made
        anew. Raises StoreUnavailable when `prompt` and the data directory or a SQLite database is not there.
        """
        self.url = url
        self._name = url.removeprefix("sqlite:///") if url.startswith("sqlite:") else ""
        self._silence: Silence | None = None
        self.is_sqlite = url.startswith("sqlite:")
        if prompt:
            _require_there(data_dir, *([Path(self._name)] if self.is_sqlite else []))
        data_dir.mkdir(parents=True, exist_ok=True)
        self._anchors = [Anchor(data_dir), *([Anchor(Path(self._name))] if self.is_sqlite else [])]
        self._anchors[0].require()
        if self.is_sqlite:
            self._write_lock = WriteLock(data_dir / "write.lock")
            self._reader = _sqlite_engine(url, "BEGIN")
            self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE")
        else:
            from gateway.store.postgres import Silence, make_engine

            self._reader = self._writer = make_engine(url, BUSY_SECONDS, prompt=prompt)
            self._silence = Silence(BUSY_SECONDS) if prompt else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view. Raises StoreUnavailable."""
        self._require_anchors()
        with self._watched(), translated_faults(self._name), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed when the block ends. Raises StoreUnavailable, StorageFull."""
        self._require_anchors()
        turn = self._write_lock.held() if self.is_sqlite else nullcontext()
        with turn, self._watched(), translated_faults(self._name), self._writer.begin() as connection:
            yield connection

    def _require_anchors(self) -> None:
        """Before the write lock, which would be made in whatever folder is there."""
        for anchor in self._anchors:
            anchor.require()

    def _watched(self) -> AbstractContextManager[None]:
        return self._silence.watched() if self._silence else nullcontext()

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()


def _require_there(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise StoreUnavailable(f"{path} is not there; bring it back (is its disk mounted?)")


def _sqlite_engine(url: str, begin: str) -> Engine:
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
        pool_size=8,
        json_serializer=json_text,
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # the driver's own transaction handling begins late and commits early; we say BEGIN ourselves
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def row_lock(connection: Connection, named: list[str]) -> None:
    """Take the accounts' rows, in one order for everybody; on SQLite the write lock is held already."""
    if connection.dialect.name == "sqlite":
        return
    connection.execute(
        text("SELECT id FROM account WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": sorted(named)}
    )
