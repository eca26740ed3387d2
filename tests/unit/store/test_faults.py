"""What the database says, told apart: our surroundings (451, 452), or a bug of ours."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.core.clock import new_id
from gateway.core.errors import StorageFull, StoreUnavailable
from gateway.store.engine import Store
from gateway.store.faults import translated_faults
from tests.servers.postgres import PostgresServer


def _raised_by(orig: Exception) -> None:
    with translated_faults("var/gateway.db"):
        base = sqlite3.Error if isinstance(orig, sqlite3.Error) else psycopg.Error
        raise DBAPIError.instance("INSERT", {}, orig, base)


OURS = [
    "42601",
    "42P01",
    "42703",
    "22001",
    "22021",
    "23505",
    "23503",
    "21000",
    "25P02",
    "54000",
    "54001",
    "0A000",
    "P0001",
    "XX000",
]
THEIRS = [
    "08000",
    "08006",
    "08P01",
    "25006",
    "25P03",
    "28P01",
    "28000",
    "3D000",
    "40001",
    "40P01",
    "42501",
    "53200",
    "53300",
    "55P03",
    "57014",
    "57P01",
    "57P02",
    "57P03",
    "57P05",
    "58000",
    "58030",
    "F0001",
    "XX001",
    "XX002",
]


@pytest.mark.parametrize("state", THEIRS)
def test_a_state_of_our_surroundings_is_no_fault_of_the_message(state: str) -> None:
    """A failover to a standby (25006) was taken for a message that breaks our code: psycopg calls it an internal error."""
    with pytest.raises(StoreUnavailable, match=r"^words"):
        _raised_by(psycopg.errors.lookup(state)("words"))


@pytest.mark.parametrize("state", OURS)
def test_a_statement_that_is_wrong_in_itself_stays_a_bug(state: str) -> None:
    with pytest.raises(DBAPIError):
        _raised_by(psycopg.errors.lookup(state)("words"))


def test_a_disk_without_room_is_told_as_such() -> None:
    with pytest.raises(StorageFull):
        _raised_by(psycopg.errors.lookup("53100")("words"))


def test_a_connection_that_is_not_there_has_no_state() -> None:
    with pytest.raises(StoreUnavailable):
        _raised_by(psycopg.OperationalError("connection refused"))


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    name = f"t{new_id()}"
    postgres.sql(f"CREATE DATABASE {name}")
    return postgres.url_of(name)


@pytest.fixture
def on_postgres(database: str, tmp_path: Path) -> Iterator[Store]:
    store = Store(database, tmp_path, prompt=True)
    with store.write() as connection:
        connection.execute(text("CREATE TABLE kept (n integer)"))
    yield store
    store.close()


def test_a_server_that_became_a_standby_is_our_surroundings(on_postgres: Store, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {database.rpartition('/')[2]} SET default_transaction_read_only = on")
    on_postgres.close()
    with (
        pytest.raises(StoreUnavailable, match=r"read-only transaction.*point database_url"),
        on_postgres.write() as connection,
    ):
        connection.execute(text("INSERT INTO kept VALUES (1)"))


def _sqlite(message: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("message", "code", "told"),
    [
        (
            "disk I/O error",
            sqlite3.SQLITE_IOERR_SHMSIZE,
            "the database var/gateway.db: disk I/O error; see whether its",
        ),
        ("attempt to write a readonly database", sqlite3.SQLITE_READONLY_DBMOVED, "the database var/gateway.db: att"),
        ("unable to open database file", sqlite3.SQLITE_CANTOPEN, "the database var/gateway.db: unable to open data"),
    ],
)
def test_a_disk_that_fails_sqlite_is_told_with_the_file_and_the_cure(message: str, code: int, told: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        _raised_by(_sqlite(message, code))
    assert str(caught.value).startswith(told)
    assert "; " in str(caught.value)


def test_a_full_disk_under_sqlite_names_the_file() -> None:
    with pytest.raises(StorageFull, match=r"the database var/gateway.db: .*; make room on its disk"):
        _raised_by(_sqlite("database or disk is full", sqlite3.SQLITE_FULL))


def test_a_database_file_whose_folder_is_gone_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    file = folder / "gateway.db"
    folder.mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
    store = Store(f"sqlite:///{file}", tmp_path)
    shutil.rmtree(folder)
    with pytest.raises(StoreUnavailable, match=f"the database {file}: unable to open"), store.read():
        pass
    store.close()
