"""The schema's history (alembic): expand first, contract a release later, so that the release before runs on it too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import InvalidInput

if TYPE_CHECKING:
    from gateway.store.engine import Store

HEAD = "0010"
"""The revision this release is written for; a test compares it with the newest script."""


def current(store: Store) -> str | None:
    """The revision of the database, None for an empty one."""
    from sqlalchemy import inspect, text

    with store.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def upgrade(store: Store) -> bool:
    """Bring the schema to HEAD; True when there was something to do. Raises InvalidInput for an unknown revision."""
    found = current(store)
    if found == HEAD:
        return False
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy import text

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    try:
        with store.write() as connection:
            if not store.is_sqlite:
                # two nodes that upgrade at once: the second finds it done
                connection.execute(text("SELECT pg_advisory_xact_lock(7301943)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise InvalidInput(f"database revision {found} is not known to this release ({HEAD}): {error}") from None
    return True


def require_current(store: Store) -> None:
    """Raises InvalidInput naming the cure when the schema is older than this release."""
    found = current(store)
    if found is None:
        raise InvalidInput("the database is empty; run `gateway db upgrade` first")
    if found < HEAD:
        raise InvalidInput(f"the database has schema {found}, this release needs {HEAD}; run `gateway db upgrade`")


__all__ = ["HEAD", "current", "require_current", "upgrade"]
