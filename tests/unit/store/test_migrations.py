"""What a revision makes of rows that an earlier release wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from gateway.store import migrations
from gateway.store.engine import Store
from tests.servers.postgres import postgres  # noqa: F401 - a fixture


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        server.sql("CREATE DATABASE old_rows")
        url = server.url_of("old_rows")
    opened = Store(url, tmp_path)
    yield opened
    opened.close()


def upgrade_to(store: Store, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    with store.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_versions_that_managers_published_before_0010_are_told_by_their_note_and_others_are_not(store: Store) -> None:
    upgrade_to(store, "0008")
    teams = {
        "rules of team support": "support",
        "rules of team After sales: tidied: twice": "After sales",
        "Rules of team meeting tidied": "",
        "the rules of team support": "",
        "": "",
    }
    row = "INSERT INTO policy_version (account_id, version, text, note, author, created_at) VALUES ('a', :v, '', :n, '', :at)"
    with store.write() as connection:
        for version, note in enumerate(teams, 1):
            connection.execute(text(row), {"v": version, "n": note, "at": "2026-11-01 00:00:00+00:00"})
    assert migrations.upgrade(store)
    with store.read() as connection:
        found = connection.execute(text("SELECT note, team FROM policy_version ORDER BY version")).all()
    assert dict(map(tuple, found)) == teams
