"""What every command stands on: the database, the blobs, the secret; and how they come to be.

The store is imported where it is opened: SQLAlchemy and the tables take half a second, and `serve` on a database that
is ready (`store/glance.py`) needs none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.store import migrations, secret
from gateway.store.folders import make_data_dir
from gateway.store.glance import is_ready

if TYPE_CHECKING:
    from gateway.core.tokens import Tokens
    from gateway.settings import Settings
    from gateway.store.blobs import FileBlobs
    from gateway.store.engine import Store
    from gateway.store.secret import Secret


@dataclass(slots=True)
class Ground:
    """The open database with what belongs to it."""

    settings: Settings
    store: Store
    blobs: FileBlobs
    secret: Secret
    tokens: Tokens

    def close(self) -> None:
        self.store.close()


def open_ground(settings: Settings, *, prompt: bool = False) -> Ground:
    """Raises InvalidInput when the schema is older than this release or the secret is missing. `prompt` as in Store."""
    from gateway.store.binding import compare
    from gateway.store.blobs import FileBlobs
    from gateway.store.engine import Store

    store = Store(settings.database_url, settings.data_dir, prompt=prompt)
    migrations.require_current(store)
    keys = secret.read(settings.secret_key_path)
    compare(store, keys)
    return Ground(settings, store, FileBlobs(settings.blob_dir), keys, keys.tokens())


def prepare(settings: Settings) -> None:
    """What `db upgrade` does: schema, secret key, the operator's account. Idempotent.

    Raises InvalidInput, also when the secret is missing with PostgreSQL or not the one of this database.
    """
    from gateway.commands.accounts import ensure_system_account
    from gateway.store.binding import compare
    from gateway.store.engine import Store

    make_data_dir(settings.data_dir)
    store = Store(settings.database_url, settings.data_dir)
    if settings.is_sqlite and migrations.current(store) is None:
        # only for a new database: in place of a lost key a fresh one would hide that it is lost
        secret.make(settings.secret_key_path)
    keys = secret.read(settings.secret_key_path)
    migrations.upgrade(store)
    compare(store, keys)
    ensure_system_account(store, keys, settings)
    store.close()


def prepare_to_serve(settings: Settings) -> None:
    """On SQLite the same, unless a glance says that all is there; on PostgreSQL an older schema is refused: other nodes
    may be running. Raises InvalidInput.
    """
    if not settings.is_sqlite:
        open_ground(settings).close()
    elif not _is_prepared(settings):
        prepare(settings)


def _is_prepared(settings: Settings) -> bool:
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    if not settings.secret_key_path.exists():
        return False  # what that means depends on the database
    return is_ready(database, migrations.HEAD, secret.read(settings.secret_key_path).fingerprints())
