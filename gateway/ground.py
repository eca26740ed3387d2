"""What every command stands on: the database, the blobs, the secret; and how they come to be.

The store is imported where it is opened: SQLAlchemy and the tables take half a second, and `serve` on a database that
is ready (`store/glance.py`) needs none of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import InvalidInput
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
    from gateway.store.binding import blob_mark, compare
    from gateway.store.blobs import FileBlobs
    from gateway.store.engine import Store

    store = Store(settings.database_url, settings.data_dir, prompt=prompt)
    migrations.require_current(store)
    keys = secret.read(settings.secret_key_path)
    compare(store, keys, settings.domain)
    return Ground(settings, store, FileBlobs(settings.blob_dir, partial(blob_mark, store)), keys, keys.tokens())


def prepare(settings: Settings) -> None:
    """What `db upgrade` does: schema, secret key, the operator's account. Idempotent.

    Raises InvalidInput, also when the secret is missing with PostgreSQL or not the one of this database.
    """
    make_data_dir(settings.data_dir)
    with _alone(settings.data_dir):
        _prepare(settings)


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One at a time prepares a data directory; the next finds it done. Of two `serve` with different roles that began
    together on a new one, one ended: each had looked before the other made anything.

    The folder itself is locked: a file would be root's where root was the first, and in everybody else's way.
    """
    try:
        folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidInput(f"{data_dir}: {error.strerror}; name a data_dir that this user may read and write") from None
    try:
        with contextlib.suppress(OSError):  # over NFS no folder can be locked, and few begin two `serve` on a new one
            fcntl.flock(folder, fcntl.LOCK_EX)  # however long a migration takes: nothing can be done before its end
        yield
    finally:
        os.close(folder)


def _prepare(settings: Settings) -> None:
    from gateway.commands.accounts import ensure_system_account
    from gateway.store.binding import compare
    from gateway.store.engine import Store
    from gateway.store.marking import mark_blobs

    store = Store(settings.database_url, settings.data_dir)
    if settings.is_sqlite and migrations.current(store) is None:
        # only for a new database: in place of a lost key a fresh one would hide that it is lost
        secret.make(settings.secret_key_path)
    keys = secret.read(settings.secret_key_path)
    migrations.upgrade(store)
    compare(store, keys, settings.domain)
    mark_blobs(store, settings.blob_dir)
    ensure_system_account(store, keys, settings)
    store.close()


def prepare_to_serve(settings: Settings) -> None:
    """On SQLite the same, unless a glance says that all is there; on PostgreSQL an older schema is refused: other nodes
    may be running. Raises InvalidInput.
    """
    if not settings.is_sqlite:
        open_ground(settings).close()
        return
    make_data_dir(settings.data_dir)
    with _alone(settings.data_dir):
        if not _is_prepared(settings):
            _prepare(settings)


def require_ready(settings: Settings) -> None:
    """What a worker opens at its start is there and can be opened; makes nothing. Raises InvalidInput, StoreUnavailable."""
    secret.read(settings.secret_key_path)
    if not (settings.is_sqlite and _is_prepared(settings)):
        open_ground(settings, prompt=True).close()  # which says what is wrong


def _is_prepared(settings: Settings) -> bool:
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    if not settings.secret_key_path.exists():
        return False  # what that means depends on the database
    return is_ready(database, migrations.HEAD, secret.read(settings.secret_key_path).fingerprints(), settings.domain)
