"""Two processes that prepare one data directory, and what a process that serves does not make."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway import ground
from gateway.commands import accounts
from gateway.commands.accounts import ensure_system_account
from gateway.core.clock import now
from gateway.core.errors import InvalidInput, StoreUnavailable
from gateway.ground import Ground, open_ground, prepare, prepare_to_serve
from gateway.settings import Settings
from gateway.store import binding, changes, named
from gateway.store.anchor import Anchor
from gateway.store.changes import NewAccount
from gateway.store.directory import Directory
from gateway.store.engine import Store
from gateway.store.tables import MessageRow
from tests.servers.inprocess import settings_for


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    settings = settings_for(tmp_path_factory.mktemp("prepared"))
    prepare(settings)
    opened = open_ground(settings)
    yield opened
    opened.close()


def once_nothing(function: Any, nothing: object) -> Any:
    """As `function`, but what it looks for is not there yet at the first look."""
    looks = [nothing]
    return lambda *arguments: looks.pop() if looks else function(*arguments)


def test_the_operator_s_account_made_by_another_meanwhile_ended_serve(
    prepared: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "has_account", once_nothing(changes.has_account, False))
    ensure_system_account(prepared.store, prepared.secret, prepared.settings)


def test_a_database_bound_by_another_meanwhile_ended_serve(prepared: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "_known", once_nothing(binding._known, None))
    binding.compare(prepared.store, prepared.secret, prepared.settings.domain)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    file = os.open(folder, os.O_RDONLY)
    yield file
    os.close(file)


@pytest.mark.parametrize("start", [prepare, prepare_to_serve])
def test_two_serve_looked_at_a_new_data_directory_before_either_had_made_anything(
    prepared: Ground, monkeypatch: pytest.MonkeyPatch, start: Any
) -> None:
    """One ended: "account system exists already". Now the second looks when the first is done."""
    settings, locked = prepared.settings, []

    def is_locked(_: Settings) -> bool:
        with opened(settings.data_dir) as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                locked.append(True)
        return False

    monkeypatch.setattr(ground, "_is_prepared", is_locked)
    monkeypatch.setattr(ground, "_prepare", is_locked)
    start(settings)
    assert locked == [True] * (1 if start is prepare else 2)
    with opened(settings.data_dir) as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_worker_made_a_data_directory_in_place_of_the_one_that_was_away(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "var"
    if is_there:
        folder.mkdir()
    with pytest.raises(StoreUnavailable, match="is not there; bring it back"):
        Store(f"sqlite:///{folder / 'gateway.db'}", folder, prompt=True)
    assert [p.name for p in tmp_path.rglob("*")] == ["var"] * is_there


def test_a_database_replaced_under_its_readers_is_not_read_any_more(prepared: Ground, tmp_path: Path) -> None:
    """SQLite goes on in the file that was there, whatever lies under the name now: what it takes would be lost."""
    folder = tmp_path / "var"
    shutil.copytree(prepared.settings.data_dir, folder)
    opened = open_ground(settings_for(folder), prompt=True)
    shutil.copy(folder / "gateway.db", folder / "copy")
    (folder / "copy").rename(folder / "gateway.db")
    for work in (opened.store.read, opened.store.write):
        with pytest.raises(StoreUnavailable, match="is not the one this process began with"), work():
            pass
    opened.close()


def test_what_comes_back_is_itself_again(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    anchor = Anchor(place)
    anchor.require()
    place.rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable, match="bring it back"):
        anchor.require()
    (tmp_path / "away").rename(place)
    anchor.require()


def test_a_database_of_an_earlier_release_is_bound_to_its_domain_and_its_folder(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var")
    prepare(settings)
    mark = settings.blob_dir / "belongs-to"
    written = mark.read_text()
    for forgotten in ("domain = ''", "blob_mark = ''", "domain = '', blob_mark = ''"):
        forget(settings, forgotten)
        prepare_to_serve(settings)
        with contextlib.closing(open_ground(settings).store) as store:
            assert binding.blob_mark(store) == written.strip(), "the folder's own, where it has one"
    with pytest.raises(InvalidInput, match=r'write domain = "gw\.test"'):
        prepare_to_serve(settings.model_copy(update={"domain": "other.test"}))


def forget(settings: Settings, what: str) -> None:
    """As an earlier release leaves it."""
    with contextlib.closing(sqlite3.connect(settings.data_dir / "gateway.db")) as connection, connection:
        connection.execute(f"UPDATE change SET {what}")


def names_a_blob(opened: Ground) -> tuple[str, str]:
    """A row whose content lies outside of it."""
    account = named.account_id(opened.store, "system")
    row: dict[str, Any] = {
        "account_id": account, "id": "m", "trace_id": "T", "source": "smtp", "direction": "inbound", "internal": False,
        "disposition": "ticketed", "reason": "", "author_name": "", "author_address": "", "subject": "", "message_id": "",
        "received_at": now(), "size_bytes": 1, "sha256": "", "results_header": "", "policy_version": 0, "recipients": [],
    }  # fmt: skip
    with opened.store.write() as connection:
        connection.execute(insert(MessageRow).values(row))
    return account, "m"


def test_an_upgrade_while_the_disk_of_the_blobs_was_away_bound_the_empty_place(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var")
    prepare(settings)
    opened = open_ground(settings)
    kept = names_a_blob(opened)
    opened.blobs.put(*kept, b"x")
    opened.close()
    forget(settings, "blob_mark = ''")
    (settings.blob_dir / "belongs-to").unlink()
    settings.blob_dir.rename(tmp_path / "away")

    prepare_to_serve(settings)

    assert not settings.blob_dir.exists()
    opened = open_ground(settings)
    with pytest.raises(StoreUnavailable, match="lacks the blobs that the database names; mend or mount it"):
        opened.blobs.put("a", "b", b"x")
    (tmp_path / "away").rename(settings.blob_dir)
    prepare(settings)
    opened.blobs.put("a", "b", b"x")  # without a start anew
    opened.close()


def test_an_upgrade_with_an_emptied_configuration_bound_the_default_domain(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var")
    prepare(settings)
    forget(settings, "domain = ''")
    with pytest.raises(InvalidInput, match=r"lie below gw\.test, and the configuration says gateway\.localhost"):
        prepare_to_serve(settings.model_copy(update={"domain": "gateway.localhost"}))
    prepare_to_serve(settings)


def test_a_mark_that_root_made_was_for_root_alone(tmp_path: Path) -> None:
    settings, before = settings_for(tmp_path / "var"), os.umask(0o077)
    try:
        prepare(settings)
    finally:
        os.umask(before)
    assert (settings.blob_dir / "belongs-to").stat().st_mode & 0o777 == 0o644


def test_blobs_that_could_not_be_given_a_folder_are_deferred_until_they_have_one(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "var").model_copy(update={"blob_url": f"file://{tmp_path / 'file' / 'blobs'}"})
    (tmp_path / "file").write_text("in its place")
    prepare(settings)
    opened = open_ground(settings)
    with pytest.raises(StoreUnavailable, match="could not be made, or lacks the blobs"):
        opened.blobs.put("a", "b", b"x")
    (tmp_path / "file").unlink()
    prepare_to_serve(settings)
    opened.close()
    again = open_ground(settings)
    again.blobs.put("a", "b", b"x")
    again.close()


def test_the_operators_account_is_no_account_yet(prepared: Ground) -> None:
    directory = Directory(prepared.store, "gw.test", "mx.gw.test")
    assert not directory.has_accounts()
    accounts.add_account(prepared.store, prepared.secret, prepared.settings, NewAccount("", "acme", "", "", b"", ""))
    assert directory.has_accounts()
