"""The glance that spares `serve` half a second: it must never call a database ready that `prepare` would change."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway import ground
from gateway.core.errors import InvalidInput
from gateway.ground import prepare, prepare_to_serve
from gateway.settings import Settings
from gateway.store import migrations, secret
from gateway.store.glance import is_ready
from tests.servers.inprocess import settings_for


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(settings_for(folder))
    return folder


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    folder = tmp_path / "var"
    shutil.copytree(template, folder)
    return settings_for(folder)


def database(settings: Settings) -> Path:
    return settings.data_dir / "gateway.db"


def glance(settings: Settings) -> bool:
    keys = secret.read(settings.secret_key_path)
    return is_ready(database(settings), migrations.HEAD, keys.fingerprints(), settings.domain)


def change(settings: Settings, statement: str) -> None:
    with closing(sqlite3.connect(database(settings))) as connection, connection:
        connection.execute(statement)


def test_what_was_prepared_is_ready(settings: Settings) -> None:
    assert glance(settings)


def test_what_is_ready_is_not_prepared_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[Settings] = []
    monkeypatch.setattr(ground, "_prepare", prepared.append)
    prepare_to_serve(settings)
    assert prepared == []
    change(settings, "UPDATE alembic_version SET version_num = '0000'")
    prepare_to_serve(settings)
    assert prepared == [settings]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version SET version_num = '0000'",
        "UPDATE alembic_version SET version_num = '9999'",
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",
        "UPDATE change SET secret_fingerprint = ''",
        "UPDATE change SET domain = ''",
        "UPDATE change SET domain = 'other.test'",
        "UPDATE change SET blob_mark = ''",
        "DELETE FROM change",
        "DELETE FROM account WHERE name = 'system'",
    ],
)
def test_whatever_is_left_to_do_is_seen(settings: Settings, statement: str) -> None:
    change(settings, statement)
    assert not glance(settings)


def test_another_secret_is_seen(settings: Settings) -> None:
    settings.secret_key_path.unlink()
    secret.make(settings.secret_key_path)
    assert not glance(settings)
    with pytest.raises(InvalidInput, match="not the one this database was made with"):
        prepare_to_serve(settings)


def test_a_lost_secret_is_named(settings: Settings) -> None:
    settings.secret_key_path.unlink()
    with pytest.raises(InvalidInput, match="secret key file is missing"):
        prepare_to_serve(settings)


def test_a_damaged_database_is_not_ready(settings: Settings) -> None:
    for file in settings.data_dir.glob("gateway.db-*"):
        file.unlink()
    database(settings).write_bytes(b"no database at all, but as long as one" * 100)
    assert not glance(settings)


def test_a_glance_at_nothing_leaves_nothing(tmp_path: Path) -> None:
    assert not is_ready(tmp_path / "gateway.db", migrations.HEAD, ("x",), "gw.test")
    assert list(tmp_path.iterdir()) == []


def test_a_database_beside_the_work_of_a_killed_process_is_read_with_it(settings: Settings) -> None:
    """What was committed lies in the log beside the file; a reader that does not look there would see an older schema."""
    killed = sqlite3.connect(database(settings))
    killed.execute("PRAGMA journal_mode=WAL")
    killed.execute("UPDATE alembic_version SET version_num = '0000'")
    killed.commit()
    copy = settings.data_dir / "copy"
    copy.mkdir()
    for file in settings.data_dir.glob("gateway.db*"):
        shutil.copy(file, copy)
    killed.close()
    fingerprints = secret.read(settings.secret_key_path).fingerprints()
    assert is_ready(copy / "gateway.db", "0000", fingerprints, settings.domain)
